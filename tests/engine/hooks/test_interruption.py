"""Runs that a cluster interrupts, that lose their disk, or whose processes drift apart."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from torch import Tensor
from torch.testing import assert_close

from mmssl.apis import train as api
from mmssl.apis.train import Settings
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.distributed.collectives import rank, world_size
from mmssl.engine.hooks.interruption import InterruptedRunError
from mmssl.engine.runner import PretrainRunner
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError, user_message
from tests.support import elastic_run
from tests.support.distributed import run_distributed
from tests.support.tiny_run import NoiseImages, build_runner, tiny_config, train
from tests.support.tools import ROOT

INTERRUPTIONS = 20
KILLS, LENGTH = 2, 4  # a start takes seconds; tests/support/elastic_run.py takes any numbers
STOP = dict(type='InterruptionHook', interval=1)


class _Steps(Hook):
    """Notes the iterations that a run does, and sends SIGTERM to one process in one of them."""

    def __init__(self, at: int | None = None, process: int = 0) -> None:
        self.at, self.process, self.done = at, process, []

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        self.done.append(runner.iter)
        if runner.iter == self.at and rank() == self.process:
            os.kill(os.getpid(), signal.SIGTERM)


def _config(work_dir: str | Path, **changes: Any) -> dict:
    hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=1), interruption=STOP)
    cfg = tiny_config(work_dir, 'byol', sync_bn=True, default_hooks=hooks, **changes)
    cfg['train_dataloader']['dataset'].update(num_images=15 * 4)
    cfg['train_dataloader'].update(batch_size=4 // world_size())
    return cfg


class _Fails(Hook):
    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        raise ZeroDivisionError


def test_the_former_handler_returns_also_after_an_error(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    train(_config(tmp_path / 'whole', max_epochs=1))
    assert signal.getsignal(signal.SIGTERM) is before
    runner = build_runner(_config(tmp_path / 'failed', max_epochs=1))
    runner.register_hook(_Fails())
    with pytest.raises(ZeroDivisionError):
        runner.train()
    assert signal.getsignal(signal.SIGTERM) is before


def _wait(works: Any) -> None:
    works.set()
    for _ in range(300):  # a signal that comes just before a sleep does not end it
        time.sleep(0.1)


class _ForksWorkers(Hook):
    """Ends a pool of forked workers by SIGTERM, as mmdet's VOC metric does."""

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        if runner.iter > 0:
            return
        fork = multiprocessing.get_context('fork')
        works = fork.Event()
        worker = fork.Process(target=_wait, args=(works,))
        worker.start()
        works.wait()
        worker.terminate()
        worker.join(timeout=20)
        self.exit = worker.exitcode
        worker.kill()


def test_a_forked_worker_ends_by_the_signal(tmp_path: Path) -> None:
    runner, workers = build_runner(_config(tmp_path, max_epochs=1)), _ForksWorkers()
    runner.register_hook(workers)
    runner.train()
    assert workers.exit == -signal.SIGTERM


def test_twenty_interruptions_lose_and_repeat_no_step(tmp_path: Path) -> None:
    (steps, state), *_ = run_distributed(_run_whole, 2, str(tmp_path / 'whole'))
    for (pieces, interrupted), _ in [run_distributed(_run_in_pieces, 2, str(tmp_path / 'pieces'))]:
        assert len(pieces) == INTERRUPTIONS + 1 and [step for piece in pieces for step in piece] == steps
        assert all(torch.equal(interrupted[name], value) for name, value in state.items())


def _run_whole(work_dir: str) -> tuple[list[int], dict[str, Tensor]]:
    return _run(work_dir, None, 0)


def _run_in_pieces(work_dir: str) -> tuple[list[list[int]], dict[str, Tensor]]:
    pieces, at = [], 0
    for number in range(INTERRUPTIONS):
        steps, _ = _run(work_dir, at, process=number % 2, resume=number > 0)
        pieces.append(steps)
        at = steps[-1] + 2
    steps, state = _run(work_dir, None, 0, resume=True)
    return [*pieces, steps], state


def _run(work_dir: str, at: int | None, process: int, **changes: Any) -> tuple[list[int], dict[str, Tensor]]:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    runner = build_runner(_config(work_dir, launcher='pytorch', **changes))
    steps = _Steps(at, process)
    runner.register_hook(steps)
    if at is None:
        runner.train()
    else:
        with pytest.raises(InterruptedRunError, match=r'--resume continues at iter_\d+.pth'):
            runner.train()
    return steps.done, runner.algorithm.state_dict()


@pytest.mark.parametrize('works', [True, False])
def test_a_job_of_slurm_goes_back_into_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, works: bool) -> None:
    script = tmp_path / 'scontrol'
    script.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/called\n' + ('' if works else 'echo no >&2; exit 1\n'))
    script.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}:{os.environ["PATH"]}')
    monkeypatch.setenv('SLURM_JOB_ID', '71')
    before = signal.getsignal(signal.SIGTERM)
    for requeue in ('0', '1'):
        monkeypatch.setenv('MMSSL_REQUEUE', requeue)
        runner = build_runner(_config(tmp_path / requeue))
        runner.register_hook(_Steps(at=3))
        with pytest.raises(InterruptedRunError, match='after iteration 4; .* iter_4.pth'):
            runner.train()
        assert (tmp_path / 'called').exists() == (requeue == '1')
    assert (tmp_path / 'called').read_text() == 'requeue 71\n'
    assert signal.getsignal(signal.SIGTERM) == before
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert works or 'Slurm job 71 could not be put into the queue again: no' in log


def test_a_full_disk_ends_in_a_sentence_and_the_last_checkpoint_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = torch.save

    def fails_later(content: Any, file: Any, *args: Any, **kwargs: Any) -> None:
        if (tmp_path / 'epoch_1_backbone.pth').exists():
            raise OSError(errno.ENOSPC, 'No space left on device')
        write(content, file, *args, **kwargs)

    monkeypatch.setattr(torch, 'save', fails_later)
    with pytest.raises(UserError, match=r'epoch_2.pth cannot be written: No space left on device.*--resume'):
        train(_config(tmp_path))
    assert sorted(file.name for file in tmp_path.glob('*.pth*')) == ['epoch_1.pth', 'epoch_1_backbone.pth']
    assert (tmp_path / 'last_checkpoint').read_text().endswith('epoch_1.pth')
    load_checkpoint_file(tmp_path / 'epoch_1.pth')


@DATASETS.register_module()
class KillsItsWorker(NoiseImages):
    """Images of noise; the worker that loads one of the second epoch kills itself."""

    def __getitem__(self, key: tuple[int, int]) -> dict:
        if key[0] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(key)


def test_a_dead_worker_ends_in_a_sentence_and_the_last_checkpoint_is_whole(tmp_path: Path) -> None:
    cfg = _config(tmp_path)
    cfg['train_dataloader'].update(num_workers=1)
    cfg['train_dataloader']['dataset'].update(type='KillsItsWorker')
    with pytest.raises(RuntimeError) as error:
        train(cfg)
    assert user_message(error.value).startswith('a process that loads images was ended from outside')
    assert load_checkpoint_file(tmp_path / 'epoch_1.pth')['meta']['epoch'] == 1


def test_kills_of_a_process_under_torchrun_end_in_the_same_bits(tmp_path: Path) -> None:
    command = [sys.executable, '-m', 'tests.support.elastic_run', str(tmp_path), str(LENGTH), '0', str(KILLS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    lives: dict[int, list[int]] = {}
    for line in (tmp_path / str(KILLS) / 'steps_0.txt').read_text().splitlines():
        life, step = map(int, line.split())
        lives.setdefault(life, []).append(step)
    assert sorted(lives) == list(range(KILLS + 1)) and lives[0][0] == 0
    for steps, (first, *_) in zip(lives.values(), list(lives.values())[1:]):
        # It continues at a checkpoint: the last one, or that before if a process was killed while it was written.
        assert first % elastic_run.INTERVAL == 0 and steps[-1] + 1 - elastic_run.INTERVAL <= first <= steps[-1] + 1
    last = f'iter_{elastic_run.EPOCHS * LENGTH}.pth'
    whole, killed = (load_checkpoint_file(tmp_path / str(kills) / last) for kills in (0, KILLS))
    for key in ('state_dict', 'optimizer'):
        assert_close(killed[key], whole[key], rtol=0, atol=0)


def test_a_process_with_other_weights_is_found(tmp_path: Path) -> None:
    for message in run_distributed(_drift, 2, str(tmp_path)):
        assert 'process 1 has other weights than process 0 after iteration 2, first in module.backbone' in message


class _Drift(Hook):
    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        if rank() == 1 and runner.iter == 1:
            next(runner.algorithm.backbone.parameters()).data.mul_(1.01)


def _drift(work_dir: str) -> str:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    cfg = _config(work_dir, launcher='pytorch')
    cfg['default_hooks']['same_weights'] = dict(type='SameWeightsHook', interval=2)
    train(_config(f'{work_dir}/same', launcher='pytorch', max_epochs=1))
    runner = build_runner(cfg)
    runner.register_hook(_Drift())
    with pytest.raises(UserError) as error:
        runner.train()
    return str(error.value)


@pytest.mark.parametrize('variable', ['TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'])
def test_a_restarted_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    def resumes() -> bool:
        cfg = Config(dict(work_dir=str(tmp_path), default_scope='mmssl'))
        Settings(work_dir=tmp_path).write(cfg)
        return cfg.get('resume', False)

    (tmp_path / 'epoch_1.pth').touch()
    assert not resumes()
    monkeypatch.setenv(variable, '1')
    assert resumes()
    (tmp_path / 'epoch_1.pth').unlink()
    assert not resumes()


def test_a_restarted_run_of_stages_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[bool] = []
    monkeypatch.setattr(api, 'read_stages', lambda *args: [])
    monkeypatch.setattr(api, 'run_stages', lambda *args, resume: found.append(resume))
    for _ in range(2):
        api._train_stages('x', Config(dict(default_scope='mmssl')), None, Settings(tmp_path), (None, None), False)
        monkeypatch.setenv('SLURM_RESTART_COUNT', '1')
    assert found == [False, True]

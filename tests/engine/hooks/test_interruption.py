"""Runs that a cluster interrupts, that lose their disk, or whose processes drift apart."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop
from torch import Tensor
from torch.testing import assert_close

from mmssl.apis import train as api
from mmssl.apis.train import Settings
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.distributed.collectives import rank, world_size
from mmssl.engine.checkpoint_runner import resumable_checkpoints
from mmssl.engine.hooks.interruption import InterruptedRunError, InterruptionHook
from mmssl.engine.hooks.same_weights import SameWeightsHook
from mmssl.engine.runner import PretrainRunner
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError, user_message
from tests.support import elastic_run
from tests.support.distributed import exit_codes, run_distributed, start_process
from tests.support.tiny_run import NoiseImages, build_runner, tiny_config, train

LENGTH = 4  # iterations per epoch of the runs of two processes
# When the signal comes (a method of a hook, an iteration and a process), and the iterations that are done until the end
INTERRUPTIONS = [
    (('after_train_iter', 0, 0), [0]),
    (('before_train_epoch', 1, 1), [1]),  # a resumed run has done nothing yet
    (('after_train_iter', 2, 1), [2]),
    (('after_train_iter', 3, 0), [3, 4]),  # an epoch ends first
    (('before_save_checkpoint', 8, 0), [5, 6, 7, 8]),  # that of an epoch
    (('before_train_epoch', 12, 1), [9, 10, 11, 12]),
]
KILLS = 2  # tests/support/elastic_run.py takes any number
STOP = dict(type='InterruptionHook', interval=1)


class _Steps(Hook):
    """Notes the iterations that a run does, and sends SIGTERM to one process once.

    Args:
        place: Method of a hook that sends it.
        at: Iteration in which it is sent, or None.
        process: Process that gets it.
    """

    def __init__(self, place: str = 'after_train_iter', at: int | None = None, process: int = 0) -> None:
        self.place, self.at, self.process, self.done = place, at, process, []

    def _arrive(self, place: str, iteration: int) -> None:
        if (place, iteration, rank()) == (self.place, self.at, self.process):
            self.at = None
            os.kill(os.getpid(), signal.SIGTERM)

    def before_train_epoch(self, runner: PretrainRunner) -> None:
        self._arrive('before_train_epoch', runner.iter)

    def before_save_checkpoint(self, runner: PretrainRunner, checkpoint: dict) -> None:
        self._arrive('before_save_checkpoint', runner.iter)

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        self.done.append(runner.iter)
        self._arrive('after_train_iter', runner.iter)


def _config(work_dir: str | Path, length: int = 15, **changes: Any) -> dict:
    hooks = dict(checkpoint=dict(type='CheckpointHook', by_epoch=True, interval=1), interruption=STOP)
    cfg = tiny_config(work_dir, 'byol', sync_bn=True, default_hooks=hooks, **changes)
    cfg['train_dataloader']['dataset'].update(num_images=length * 4)
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


def test_a_loop_that_cannot_begin_within_an_epoch(tmp_path: Path) -> None:
    runner = build_runner(_config(tmp_path, 4, max_epochs=2, train_cfg=dict(type='mmengine.EpochBasedTrainLoop')))
    runner.register_hook(_Steps(at=5))
    with pytest.raises(InterruptedRunError, match='after iteration 6; EpochBasedTrainLoop cannot .* last checkpoint'):
        runner.train()
    assert [file.name for file in resumable_checkpoints(tmp_path)] == ['epoch_1.pth']


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


class _SignalsAll(Hook):
    """Sends SIGTERM to the process and its workers, as torchrun and Slurm do, from a third process."""

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        if runner.iter == 1:
            workers = [str(worker.pid) for worker in runner.train_dataloader._iterator._workers]
            subprocess.run(['kill', '-TERM', *workers, str(os.getpid())], check=True)
            time.sleep(0.5)  # a worker that dies ends the run here


def test_workers_outlive_a_signal_to_all_processes(tmp_path: Path) -> None:
    cfg = _config(tmp_path)
    cfg['train_dataloader'].update(num_workers=1, persistent_workers=True)
    runner = build_runner(cfg)
    runner.register_hook(_SignalsAll())
    with pytest.raises(InterruptedRunError, match='iter_2.pth'):
        runner.train()
    assert (tmp_path / 'iter_2.pth').is_file()


@pytest.mark.parametrize(('length', 'accumulation', 'ends'), [(1, 1, 3), (2, 2, 6), (2, 4, 12), (3, 2, 4)])
def test_every_step_may_end_an_epoch(tmp_path: Path, length: int, accumulation: int, ends: int) -> None:
    optim_wrapper = dict(optimizer=dict(type='SGD', lr=0.1), accumulative_counts=accumulation)
    runner = build_runner(_config(tmp_path, length, max_epochs=9, optim_wrapper=optim_wrapper))
    runner.register_hook(_Steps(at=2 * accumulation - 1))
    with pytest.raises(InterruptedRunError, match=f'after iteration {ends}; .* iter_{ends}.pth'):
        runner.train()
    assert train(_config(tmp_path, length, max_epochs=9, optim_wrapper=optim_wrapper, resume=True)).iter == 9 * length


def test_a_run_of_iterations_validates_first(tmp_path: Path) -> None:
    cfg = _config(tmp_path)
    cfg.pop('max_epochs')
    cfg['train_cfg'] = dict(max_iters=18, val_interval=3)
    runner, validated = build_runner(cfg), []
    runner._val_loop = runner._val_evaluator = Mock(spec=BaseLoop)
    runner._val_loop.run = lambda: validated.append(runner.iter)
    runner.build_val_loop = lambda loop: loop
    runner.register_hook(_Steps(at=2))
    with pytest.raises(InterruptedRunError, match='after iteration 4'):
        runner.train()
    assert validated == [3]


@pytest.mark.parametrize(('limit', 'interim'), [(1, [[3], [5], []]), (-1, [[3], [3, 5], [3, 5]])])
def test_checkpoints_of_interruptions_do_not_pile_up(tmp_path: Path, limit: int, interim: list[list[int]]) -> None:
    for at, left in zip((2, 4, None), interim):
        cfg = _config(tmp_path, length=6, max_epochs=1, resume=True)
        cfg['default_hooks']['checkpoint'].update(max_keep_ckpts=limit)
        runner = build_runner(cfg)
        runner.register_hook(_Steps(at=at))
        with pytest.raises(InterruptedRunError) if at is not None else nullcontext():
            runner.train()
        names = [f'iter_{step}{end}.pth' for step in left for end in ('', '_backbone')]
        assert sorted(file.name for file in tmp_path.glob('iter_*.pth*')) == names


class _Impatient(_Steps):
    """Sends SIGTERM again while the checkpoint of the first one is written."""

    def before_save_checkpoint(self, runner: PretrainRunner, checkpoint: dict) -> None:
        os.kill(os.getpid(), signal.SIGTERM)


def test_a_second_signal_does_not_end_the_writing_of_the_checkpoint(tmp_path: Path) -> None:
    signal_before = signal.signal(signal.SIGTERM, _raise)
    try:
        runner = build_runner(_config(tmp_path))
        runner.register_hook(_Impatient(at=2))
        with pytest.raises(InterruptedRunError, match='iter_3.pth'):
            runner.train()
        assert signal.getsignal(signal.SIGTERM) is _raise
    finally:
        signal.signal(signal.SIGTERM, signal_before)
    assert load_checkpoint_file(tmp_path / 'iter_3.pth')['meta']['iter'] == 3


def _raise(*args: Any) -> None:
    raise AssertionError('the handler of the run was gone')


def test_interruptions_at_every_place_lose_and_repeat_no_step(tmp_path: Path) -> None:
    ((steps,), state), *_ = run_distributed(_run_in_pieces, 2, str(tmp_path / 'whole'), [])
    (pieces, interrupted), *_ = run_distributed(_run_in_pieces, 2, str(tmp_path / 'pieces'), INTERRUPTIONS)
    assert pieces[:-1] == [steps for _, steps in INTERRUPTIONS] and sum(pieces, []) == steps == list(range(16))
    assert all(torch.equal(interrupted[name], value) for name, value in state.items())


def _run_in_pieces(work_dir: str, interruptions: list[tuple]) -> tuple[list[list[int]], dict[str, Tensor]]:
    torch.set_default_dtype(torch.float32)
    os.environ['LOCAL_RANK'] = str(rank())
    pieces = []
    for when, _ in [*interruptions, ((), ())]:
        runner = build_runner(_config(work_dir, LENGTH, launcher='pytorch', max_epochs=4, resume=bool(pieces)))
        steps = _Steps(*when)
        runner.register_hook(steps)
        ends = (
            pytest.raises(InterruptedRunError, match=r'--resume continues at iter_\d+.pth') if when else nullcontext()
        )
        with ends:
            runner.train()
        pieces.append(steps.done)
    return pieces, runner.algorithm.state_dict()


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
    run = start_process(elastic_run.main, str(tmp_path), LENGTH, [0, KILLS])
    assert exit_codes(run, timeout=600) == [0]
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


@pytest.mark.parametrize('hook', [InterruptionHook, SameWeightsHook])
@pytest.mark.parametrize('interval', [0, -1])
def test_an_interval_is_positive(hook: type[Hook], interval: int) -> None:
    with pytest.raises(ValueError, match='interval must be at least 1'):
        hook(interval=interval)


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
        cfg = Config(tiny_config(tmp_path))
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

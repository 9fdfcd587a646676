"""Runs that are killed, damaged or that diverge."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.hooks import Hook
from torch import Tensor

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.engine.hooks.runtime_info import NonFiniteLossError
from mmssl.engine.runner import PretrainRunner
from mmssl.utils.errors import UserError
from tests.support.checkpoints import load_file
from tests.support.distributed import exit_codes, start_process
from tests.support.tiny_run import build_runner, tiny_config, train

_BYOL = dict(
    method='byol',
    optim_wrapper=dict(
        type='MixedPrecisionOptimWrapper',
        accumulative_counts=2,
        clip_grad=dict(max_norm=1.0),
        optimizer=dict(type='LARS', lr=1.0, weight_decay=1e-4),
    ),
    default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1)),
)


def _state(runner: PretrainRunner) -> dict[str, Tensor]:
    """Everything that a further step would depend on."""
    optimizer = runner.optim_wrapper.optimizer.state_dict()
    state = {f'model.{key}': value for key, value in runner.model.state_dict().items()}
    for index, buffers in optimizer['state'].items():
        state.update({f'optimizer.{index}.{key}': torch.as_tensor(value) for key, value in buffers.items()})
    state.update({f'lr.{i}': torch.tensor(group['lr']) for i, group in enumerate(optimizer['param_groups'])})
    return state


def _assert_same(runner: PretrainRunner, expected: dict[str, Tensor]) -> None:
    actual = _state(runner)
    assert actual.keys() == expected.keys()
    different = [key for key in expected if not torch.equal(actual[key], expected[key])]
    assert not different


@pytest.fixture(scope='module')
def killed(tmp_path_factory) -> tuple[Path, Path]:
    """Directories of a MoCo run killed in iteration 11 and a BYOL run killed in iteration 15 of 18, 6 per epoch."""
    folders = tmp_path_factory.mktemp('moco'), tmp_path_factory.mktemp('byol')
    for folder, iteration, options in zip(folders, (11, 15), ({}, _BYOL)):
        hooks = [dict(type='KillHook', iteration=iteration)]
        run = start_process(_train, tiny_config(folder, custom_hooks=hooks, **options))
        assert exit_codes(run) == [-signal.SIGKILL]
    return folders


def _train(cfg: dict) -> None:
    torch.set_num_threads(1)
    train(cfg)


@pytest.fixture(scope='module')
def moco(tmp_path_factory) -> tuple[Path, dict[str, Tensor]]:
    """Directory and final state of a run that nothing happened to."""
    work_dir = tmp_path_factory.mktemp('moco')
    return work_dir, _state(train(tiny_config(work_dir)))


def test_killed_within_an_epoch_and_resumed_with_workers(killed, moco) -> None:
    assert (killed[0] / 'last_checkpoint').read_text().endswith('iter_8.pth')
    cfg = tiny_config(killed[0], resume=True)
    cfg['train_dataloader'].update(num_workers=2)
    resumed = build_runner(cfg)
    done = []
    resumed.register_hook(_OnIteration(lambda runner: done.append(runner.iter)))
    resumed.train()
    assert done == list(range(8, 18))
    _assert_same(resumed, moco[1])


def test_killed_with_accumulation_bf16_lars_and_epoch_checkpoints(tmp_path: Path, killed) -> None:
    uninterrupted = train(tiny_config(tmp_path, **_BYOL))
    resumed = train(tiny_config(killed[1], resume=True, **_BYOL))
    _assert_same(resumed, _state(uninterrupted))


def test_truncated_newest_checkpoint(tmp_path: Path, moco) -> None:
    train(tiny_config(tmp_path))
    newest = tmp_path / 'iter_18.pth'
    newest.write_bytes(newest.read_bytes()[:1000])
    resumed = build_runner(tiny_config(tmp_path, resume=True))
    resumed.train()
    log = Path(resumed.log_dir, f'{resumed.timestamp}.log').read_text()
    assert 'iter_18.pth is truncated or damaged' in log
    _assert_same(resumed, moco[1])


def test_all_checkpoints_damaged(tmp_path: Path) -> None:
    (tmp_path / 'iter_3.pth').write_bytes(b'')
    with pytest.raises(UserError, match='none of the 1 checkpoints'):
        train(tiny_config(tmp_path, resume=True))


def test_longer_run_follows_the_new_length(tmp_path: Path) -> None:
    train(tiny_config(tmp_path, max_epochs=1))
    schedule = dict(type='WarmupCosineLR')
    resumed = build_runner(tiny_config(tmp_path, resume=True, max_epochs=2, param_scheduler=schedule))
    lrs = []
    resumed.register_hook(_OnIteration(lambda runner: lrs.append(runner.optim_wrapper.get_lr()['lr'][0])))
    resumed.train()
    assert lrs == pytest.approx([0.05 * (1 + torch.tensor(torch.pi * i / 12).cos().item()) for i in range(6, 12)])


def test_another_batch_size_cannot_be_resumed(moco) -> None:
    cfg = tiny_config(moco[0], resume=True)
    cfg['train_dataloader'].update(batch_size=2)
    with pytest.raises(UserError, match='6 iterations per epoch and this run has 13'):
        train(cfg)


def test_weights_alone_cannot_be_resumed(moco) -> None:
    with pytest.raises(UserError, match='only holds weights and cannot be resumed'):
        train(tiny_config(moco[0], resume=True, load_from=str(moco[0] / 'iter_18_backbone.pth')))


def test_backbone_file_and_kept_checkpoints(moco) -> None:
    work_dir, state = moco
    assert sorted(file.name for file in work_dir.glob('*.pth*')) == [
        'iter_16.pth',
        'iter_16_backbone.pth',
        'iter_18.pth',
        'iter_18_backbone.pth',
    ]
    runner = build_runner(tiny_config(work_dir))
    for file in ('iter_18.pth', 'iter_18_backbone.pth'):  # the student of the one is the other
        runner.model.init_weights()
        load_file(runner.model.backbone, work_dir / file)
        for key, value in runner.model.backbone.state_dict().items():
            assert torch.equal(value, state[f'model.backbone.{key}'])
    assert set(load_checkpoint_file(work_dir / 'iter_18_backbone.pth')) == {'state_dict', 'meta'}


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path: Path) -> None:
    runner = build_runner(tiny_config(tmp_path))

    def poison(runner: PretrainRunner) -> None:
        if runner.iter == 9:
            next(runner.model.backbone.parameters()).data.fill_(float('nan'))

    runner.register_hook(_OnIteration(poison))
    with pytest.raises(NonFiniteLossError, match=r'iteration 10 \(epoch 2\): loss=nan.*iter_8\.pth'):
        runner.train()
    assert sorted(file.name for file in tmp_path.glob('iter_*[0-9].pth')) == ['iter_4.pth', 'iter_8.pth']


def test_losses_read_late_are_checked_before_a_checkpoint(tmp_path: Path) -> None:
    runner = build_runner(tiny_config(tmp_path))

    def poison(runner: PretrainRunner) -> None:
        runner.hooks[0].check_interval = 1000  # as on a GPU
        if runner.iter == 6:
            next(runner.model.backbone.parameters()).data.fill_(float('nan'))

    runner.register_hook(_OnIteration(poison))
    with pytest.raises(NonFiniteLossError, match=r'iteration 7 .*iter_4\.pth'):
        runner.train()
    assert not (tmp_path / 'iter_8.pth').exists()


class _OnIteration(Hook):
    """Calls a function before each iteration."""

    def __init__(self, function: Callable[[PretrainRunner], None]) -> None:
        self.function = function

    def before_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        self.function(runner)

"""A resumed run is compared with the run that it continues."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import MultiStepLR
from torch.optim import SGD

from mmssl.engine.resume import _is_of_kept_schedule, differences
from mmssl.engine.schedules import WarmupCosineLR
from mmssl.registry import OPTIMIZERS
from mmssl.utils.errors import UserError
from tests.support.tiny_run import build_runner, tiny_config, train

_DECAY = dict(type='CosineWeightDecay', end_factor=2)


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The work directory of a run of one epoch."""
    path = tmp_path_factory.mktemp('resume')
    train(tiny_config(path, max_epochs=1))
    return path


def resumed(folder: Path, **changes: object) -> list[str]:
    """The warnings of a run of two epochs that continues the first one with other settings."""
    cfg = deepcopy(tiny_config(folder, max_epochs=2, resume=True, default_hooks={}))
    for key, value in changes.items():
        Config.merge_from_dict(wrapped := Config(cfg), {key.replace('__', '.'): value})
        cfg = wrapped.to_dict()
    cfg['load_from'] = str(folder / 'iter_4.pth')
    runner = build_runner(cfg)
    warnings: list[str] = []
    runner.logger.warning = warnings.append
    runner.train_loop.run = lambda: None
    runner.train()
    return [line for line in warnings if 'differs' in line]


def test_equal_settings_are_silent_but_for_the_length(folder: Path) -> None:
    (warning,) = resumed(folder)
    lines = [line.strip() for line in warning.splitlines()[1:]]
    assert lines == [f'{key}: 2 from now on, 1 before' for key in ('max_epochs', 'train_cfg.max_epochs')]


def test_settings_that_differ_are_named_with_the_value_that_holds(folder: Path) -> None:
    (warning,) = resumed(
        folder,
        optim_wrapper__optimizer__lr=0.7,
        optim_wrapper__optimizer__weight_decay=0.5,
        train_dataloader__dataset__views__0__min_scale=0.9,
        train_dataloader__num_workers=0,
        custom_hooks=[dict(type='FreezeHook', name='neck'), dict(type='FiguresHook')],
        auto_scale_lr=dict(enable=True, base_batch_size=8),
    )
    assert "custom_hooks.0.type: 'FreezeHook' from now on, no value before" in warning and 'Figures' not in warning
    assert 'optim_wrapper.optimizer.lr: 0.1 of the checkpoint is kept, 0.7 of this config is ignored' in warning
    assert 'auto_scale_lr.enable: no value of the checkpoint is kept, True of this config is ignored' in warning
    assert 'weight_decay: no value of the checkpoint is kept, 0.5 of this config is ignored' in warning
    assert 'train_dataloader.dataset.views.0.min_scale: 0.9 from now on, no value before' in warning
    assert 'num_workers' not in warning


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(optim_wrapper__optimizer__type='LARS'), r'its optimizer is SGD and that of this run is LARS'),
        (dict(optim_wrapper__paramwise_cfg=dict(vectors=dict(decay_mult=0))), r'groups of \[\d+\] parameters'),
        (dict(randomness__seed=4), r'its seed is 3 and that of this run is 4'),
        (dict(train_dataloader__batch_size=2), r'6 iterations per epoch and this run has 13'),
        (dict(param_scheduler=[dict(type='WarmupCosineLR'), _DECAY]), 'it has 1 schedules and this run has 2'),
    ],
)
def test_contradictions_are_refused_in_a_sentence(folder: Path, changes: dict, message: str) -> None:
    with pytest.raises(UserError, match=f'iter_4.pth cannot be resumed: .*{message}.*load_from without --resume'):
        resumed(folder, **changes)


def test_an_optimizer_that_is_registered_under_another_name(tmp_path: Path) -> None:
    OPTIMIZERS.register_module(name='OwnSGD', force=True, module=_SGDOfAPlugin)
    wrapper = dict(optimizer=dict(type='OwnSGD', lr=0.1))
    train(tiny_config(tmp_path, max_epochs=1, optim_wrapper=wrapper))
    assert train(tiny_config(tmp_path, max_epochs=2, optim_wrapper=wrapper, resume=True)).iter == 12


class _SGDOfAPlugin(SGD):
    """An optimizer whose name in configs is not that of its class."""


def test_schedules_of_mmengine_keep_the_numbers_of_the_checkpoint() -> None:
    optimizer = SGD([torch.ones(1, requires_grad=True)], lr=1.0)
    schedules = [WarmupCosineLR(optimizer, max_epochs=2, end=2), MultiStepLR(optimizer, milestones=[1])]
    keys = [
        'param_scheduler.0.warmup_epochs',
        'param_scheduler.1.milestones.0',
        'param_scheduler.2.gamma',
        'max_epochs',
    ]
    assert [_is_of_kept_schedule(key, schedules) for key in keys] == [False, True, False, False]


def test_differences() -> None:
    before = Config(dict(model=dict(a=[1, 2], b=1), train_dataloader=dict(num_workers=2), work_dir='x'))
    now = Config(dict(model=dict(a=(1, 3), c=2), train_dataloader=dict(num_workers=8), work_dir='y'))
    assert [key for key, _, _ in differences(before, now)] == ['model.a.1', 'model.c', 'model.b']

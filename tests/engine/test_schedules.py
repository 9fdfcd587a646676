from __future__ import annotations

import math
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.optim import OptimWrapper
from timm.scheduler import CosineLRScheduler
from torch.optim import SGD

from mmssl.engine.schedules import CosineWeightDecay, StepLR, WarmupCosineLR
from mmssl.utils.errors import UserError
from tests.support.tiny_run import build_runner, tiny_config


def _optimizer(lr: float, **second_group: object) -> SGD:
    groups = [dict(params=[torch.ones(1, requires_grad=True)])]
    if second_group:
        groups.append(dict(params=[torch.ones(1, requires_grad=True)], **second_group))
    return SGD(groups, lr=lr)


def _lrs(scheduler, steps: int, group: int = 0) -> list[float]:
    values = []
    for _ in range(steps):
        values.append(scheduler.optimizer.param_groups[group]['lr'])
        scheduler.optimizer.step()
        scheduler.step()
    return values


def test_warmup_and_cosine_of_mocov3() -> None:
    per_epoch = 20
    scheduler = WarmupCosineLR(_optimizer(9.6), max_epochs=100, end=100 * per_epoch, warmup_epochs=10)
    lrs = _lrs(scheduler, 100 * per_epoch)
    assert lrs[0] == 0
    assert [lrs[epoch * per_epoch] for epoch in (5, 10, 55)] == pytest.approx([4.8, 9.6, 4.8])
    assert scheduler.factor(100 * per_epoch) == pytest.approx(0)


def test_warmup_and_cosine_of_barlow_twins_end_at_a_thousandth() -> None:
    scheduler = WarmupCosineLR(_optimizer(8.0), max_epochs=1000, end=1000, warmup_epochs=10, end_factor=0.001)
    lrs = _lrs(scheduler, 1000)
    assert [lrs[epoch] for epoch in (5, 10, 505)] == pytest.approx([4.0, 8.0, 4.004])
    assert scheduler.factor(1000) == pytest.approx(0.001)
    with pytest.raises(ValueError, match=r'end_factor.*1\.5'):
        WarmupCosineLR(_optimizer(1.0), max_epochs=10, end=10, end_factor=1.5)


@pytest.mark.parametrize('options', [{}, dict(peak_in_warmup=True), dict(delay=1)])
def test_accumulated_batches_of_a_step_have_the_rate_of_the_step(options: dict) -> None:
    whole = _lrs(WarmupCosineLR(_optimizer(1.0), max_epochs=10, end=20, warmup_epochs=2, **options), 20)
    wrapper = OptimWrapper(_optimizer(1.0), accumulative_counts=3)
    rates = _lrs(WarmupCosineLR(wrapper, max_epochs=10, end=60, warmup_epochs=2, **options), 60)
    assert rates == pytest.approx([rate for rate in whole for _ in range(3)])


def test_cosine_per_epoch_of_mocov2_ends_above_zero() -> None:
    lrs = _lrs(WarmupCosineLR(_optimizer(0.03), max_epochs=200, end=200, by_epoch=True), 200)
    assert lrs[0] == 0.03 and lrs[100] == pytest.approx(0.015)
    assert lrs[199] == pytest.approx(0.015 * (1 + math.cos(math.pi * 199 / 200))) and lrs[199] > 0


def test_steps_of_mocov1() -> None:
    lrs = _lrs(StepLR(_optimizer(0.03), max_epochs=200, end=200, milestones=[0.6, 0.8]), 200)
    assert [lrs[epoch] for epoch in (119, 120, 159, 160)] == pytest.approx([0.03, 0.003, 0.003, 0.0003])


def test_cosine_over_the_whole_run_is_timms() -> None:
    ours = WarmupCosineLR(
        _optimizer(8e-4),
        max_epochs=100,
        end=1000,
        warmup_epochs=10,
        start_factor=0.005,
        end_factor=0.05,
        cosine_from_start=True,
    )
    optimizer = _optimizer(8e-4)
    theirs = CosineLRScheduler(optimizer, 1000, lr_min=4e-5, warmup_t=100, warmup_lr_init=4e-6, t_in_epochs=False)
    expected = []
    for step in range(1000):
        theirs.step_update(step)
        expected.append(optimizer.param_groups[0]['lr'])
    assert _lrs(ours, 1000) == pytest.approx(expected)
    assert expected[100] < 7.9e-4


def test_peak_in_the_warmup_of_dino_and_a_delay() -> None:
    options = dict(max_epochs=10, end=100, warmup_epochs=2, end_factor=0.1)
    lrs = _lrs(WarmupCosineLR(_optimizer(1.0), peak_in_warmup=True, **options), 100)
    cosine = [0.1 + 0.45 * (1 + math.cos(math.pi * step / 80)) for step in range(80)]
    assert lrs == pytest.approx([step / 19 for step in range(20)] + cosine)
    late = _lrs(WarmupCosineLR(_optimizer(1.0), delay=3, **options), 100)
    assert late[3:] == _lrs(WarmupCosineLR(_optimizer(1.0), **options), 97) and set(late[:3]) == {0.0}
    with pytest.raises(ValueError, match='delay.* -1'):
        WarmupCosineLR(_optimizer(1.0), delay=-1, **options)


def test_steps_of_simmim_after_a_warmup() -> None:
    options = dict(max_epochs=800, end=8000, milestones=[7 / 8], by_epoch=False, warmup_epochs=10)
    lrs = _lrs(StepLR(_optimizer(4e-4), start_factor=0.005, **options), 8000)
    found = [lrs[step] for step in (0, 50, 100, 6999, 7000, 7999)]
    assert found == pytest.approx([2e-6, 2.01e-4, 4e-4, 4e-4, 4e-5, 4e-5])
    with pytest.raises(ValueError, match=r'start_factor.*-0\.1'):
        StepLR(_optimizer(1.0), start_factor=-0.1, **options)
    with pytest.raises(ValueError, match='max_epochs=800.* got 801'):
        StepLR(_optimizer(1.0), **(options | dict(warmup_epochs=801)))


def test_milestones_that_floats_do_not_represent() -> None:
    lrs = _lrs(StepLR(_optimizer(1.0), max_epochs=100, end=100, milestones=[0.29]), 100)
    assert lrs[28:30] == pytest.approx([1.0, 0.1])


def test_fixed_lr_of_simsiam_predictor() -> None:
    wrapper = OptimWrapper(_optimizer(0.1, fix_lr=True))
    scheduler = WarmupCosineLR(wrapper, max_epochs=100, end=100, by_epoch=True)
    for _ in range(50):
        scheduler.step()
    assert wrapper.get_lr()['lr'] == pytest.approx([0.05, 0.1])


def test_weight_decay_of_dino_rises_where_there_is_any() -> None:
    optimizer = _optimizer(1.0, weight_decay=0.0, fix_lr=True)
    optimizer.param_groups[0]['weight_decay'] = 0.04
    decay = CosineWeightDecay(optimizer, max_epochs=10, end=100, end_factor=10)
    lr = WarmupCosineLR(optimizer, max_epochs=10, end=100)
    found = []
    for _ in range(100):
        found.append([group['weight_decay'] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in (decay, lr):
            scheduler.step()
    assert [found[step][0] for step in (0, 50, 99)] == pytest.approx(
        [0.04, 0.22, 0.4 - 0.36 * (1 + math.cos(math.pi * 0.99)) / 2]
    )
    assert {value for _, value in found} == {0.0}
    assert optimizer.param_groups[0]['lr'] < 1e-3 and optimizer.param_groups[1]['lr'] == 1.0
    resumed = CosineWeightDecay(_optimizer(1.0), max_epochs=20, end=200, end_factor=10)
    resumed.load_state_dict(decay.state_dict())
    assert resumed.optimizer.param_groups[0]['weight_decay'] == pytest.approx(0.22)


def test_state_holds_the_position_and_not_the_length() -> None:
    old = WarmupCosineLR(_optimizer(1.0), max_epochs=10, end=10)
    _lrs(old, 10)
    new = WarmupCosineLR(_optimizer(1.0), max_epochs=20, end=20)
    new.load_state_dict(old.state_dict())
    assert _lrs(new, 1) == pytest.approx([0.5])


@pytest.mark.parametrize(
    ('schedule', 'expected'),
    [
        (dict(type='WarmupCosineLR', warmup_epochs=1), [i / 6 for i in range(6)] + [1.0]),
        (dict(type='WarmupCosineLR', by_epoch=True), [1.0] * 6 + [0.75]),
        (dict(type='StepLR', milestones=[1 / 3]), [1.0] * 6 + [0.1]),
    ],
)
def test_a_runner_gives_the_length(tmp_path, schedule: dict, expected: list[float]) -> None:
    optimizer = dict(type='SGD', lr=1.0)
    runner = build_runner(
        tiny_config(
            tmp_path,
            param_scheduler=schedule,
            optim_wrapper=dict(
                optimizer=optimizer, paramwise_cfg=dict(custom_keys={'neck': dict(fix_lr=True, lr_mult=0.5)})
            ),
        )
    )
    runner.train_loop  # noqa: B018  # builds it
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    (scheduler,) = runner.build_param_scheduler(runner.param_schedulers)
    free = next(i for i, group in enumerate(runner.optim_wrapper.param_groups) if 'fix_lr' not in group)
    fixed = next(i for i, group in enumerate(runner.optim_wrapper.param_groups) if 'fix_lr' in group)
    lrs = []
    for iteration in range(7):
        lrs.append([runner.optim_wrapper.param_groups[i]['lr'] for i in (free, fixed)])
        if not scheduler.by_epoch or iteration % 6 == 5:
            scheduler.step()
    assert [lr for lr, _ in lrs] == pytest.approx(expected)
    assert {lr for _, lr in lrs} == {0.5}


@pytest.mark.parametrize(
    ('schedules', 'message'),
    [
        (
            [dict(type='LinearLR', start_factor=0.1, end=2), dict(type='WarmupCosineLR')],
            'LinearLR and WarmupCosineLR change the same lr, and WarmupCosineLR sets it',
        ),
        ([dict(type='StepLR', milestones=[0.5])] * 2, 'StepLR and StepLR change the same lr'),
        ([dict(type='WarmupCosineLR', convert_to_iter_based=True)], 'WarmupCosineLR takes by_epoch=False'),
        ([dict(type='WarmupCosineLR'), dict(type='CosineWeightDecay', end_factor=2)], ''),
        ([dict(type='LinearLR', start_factor=0.1, end=2), dict(type='ExponentialLR', gamma=0.9)], ''),
    ],
)
def test_a_runner_refuses_schedules_that_undo_others(tmp_path: Path, schedules: list[dict], message: str) -> None:
    optimizer = dict(type='SGD', lr=1.0, weight_decay=0.1)
    runner = build_runner(tiny_config(tmp_path, param_scheduler=schedules, optim_wrapper=dict(optimizer=optimizer)))
    runner.train_loop  # noqa: B018  # builds it
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    with pytest.raises(UserError, match=message) if message else nullcontext():
        runner.build_param_scheduler(runner.param_schedulers)


@pytest.mark.parametrize(('cls', 'wrong'), [(WarmupCosineLR, dict(warmup_epochs=11)), (StepLR, dict(milestones=[120]))])
def test_rejects(cls: type, wrong: dict) -> None:
    with pytest.raises(ValueError, match='got'):
        cls(_optimizer(1.0), max_epochs=10, end=10, **wrong)

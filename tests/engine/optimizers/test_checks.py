from __future__ import annotations

from functools import partial

import pytest
import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from torch import nn

from mmssl.engine.optimizers import checks
from mmssl.engine.optimizers.checks import checked_optim_wrapper
from mmssl.registry import OPTIM_WRAPPERS, OPTIMIZERS
from mmssl.utils.errors import UserError


def _build(model: nn.Module, config: dict) -> OptimWrapper:
    optimizer = OPTIMIZERS.build(dict(config['optimizer'], params=model.parameters()))
    return OPTIM_WRAPPERS.build(dict(type='OptimWrapper') | config | dict(optimizer=optimizer))


def _checked(model: nn.Module, **config) -> OptimWrapper:
    return checked_optim_wrapper(partial(_build, model), config, model)


def test_an_optimizer_that_can_learn_passes() -> None:
    model = nn.Linear(2, 1)
    wrapper = _checked(model, optimizer=dict(type='SGD', lr=0.1, momentum=0.9), clip_grad=dict(max_norm=1.0))
    assert wrapper.param_groups[0]['params'] == list(model.parameters())


@pytest.mark.parametrize(
    ('config', 'message'),
    [
        (dict(optimizer=dict(type='SGD', lr=-0.1)), 'optim_wrapper: Invalid learning rate: -0.1'),
        (dict(optimizer=dict(type='SGD', lr=0.1, momentum=1.0)), r'momentum must be below 1, .*: 1.0'),
        (dict(optimizer=dict(type='SGD', lr=0.1), clip_grad=dict(norm=1.0)), "optim_wrapper.clip_grad: .*'max_norm'"),
    ],
)
def test_an_optimizer_that_cannot_learn_is_refused(config: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        _checked(nn.Linear(2, 1), **config)


def test_parts_are_clipped_with_every_constructor() -> None:
    parts = dict(type='MixedPrecisionOptimWrapper', dtype=None, clip_grad=dict(max_norm=1.0, parts=['weight', 'bias']))
    wrapper = _checked(model := nn.Linear(2, 1), optimizer=dict(type='SGD', lr=0.1), **parts)
    model(torch.full((1, 2), 9.0)).backward()
    wrapper.step()
    assert [round(float(p.grad.norm()), 4) for p in model.parameters()] == [1.0, 1.0]
    parts['clip_grad'] = dict(max_norm=1.0, parts=['weight'])
    with pytest.raises(UserError, match='optim_wrapper: bias must belong to one part'):
        _checked(nn.Linear(2, 1), optimizer=dict(type='SGD', lr=0.1), **parts)


def test_several_optimizers_are_refused() -> None:
    model = nn.Linear(2, 1)
    wrapper = _build(model, dict(optimizer=dict(type='SGD', lr=0.1)))
    with pytest.raises(UserError, match='makes several optimizers, and a run has one'):
        checked_optim_wrapper(lambda config: OptimWrapperDict(one=wrapper, other=wrapper), {}, model)


def test_a_model_whose_parameters_are_all_frozen_is_refused() -> None:
    with pytest.raises(UserError, match='Linear has no trainable parameters: all of them are frozen'):
        _checked(nn.Linear(2, 1).requires_grad_(False), optimizer=dict(type='SGD', lr=0.1))


def test_an_lr_of_0_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(checks, 'print_log', lambda text, *args, **options: said.append(text))
    _checked(nn.Linear(2, 1), optimizer=dict(type='SGD', lr=0.0))
    assert said == ['optim_wrapper.optimizer.lr is 0: the weights will not change']

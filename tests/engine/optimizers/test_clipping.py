from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import SGD
from torch.testing import assert_close

from mmssl.engine.optimizers.clipping import clip_each_norm_, split_parts
from mmssl.engine.optimizers.constructor import GroupedOptimWrapperConstructor
from mmssl.engine.optimizers.mixed_precision import MixedPrecisionOptimWrapper


def test_every_gradient_is_bounded_on_its_own():
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(4)]
    for parameter, gradient in zip(parameters, ([3.0, 4.0], [0.3, 0.4], [0.0, 0.0])):
        parameter.grad = torch.tensor(gradient)
    norm = clip_each_norm_(parameters, max_norm=1.0)
    assert_close(norm, torch.tensor((25 + 0.25) ** 0.5))
    assert_close(parameters[0].grad, torch.tensor([0.6, 0.8]), rtol=1e-6, atol=0)
    assert torch.equal(parameters[1].grad, torch.tensor([0.3, 0.4]))
    assert torch.equal(parameters[2].grad, torch.zeros(2))
    assert parameters[3].grad is None


def test_an_optimizer_wrapper_clips_so():
    model = nn.Linear(4, 2)
    before = [p.detach().clone() for p in model.parameters()]
    wrapper = MixedPrecisionOptimWrapper(
        dtype=None, optimizer=SGD(model.parameters(), lr=1.0), clip_grad=dict(max_norm=0.01, per_tensor=True)
    )
    wrapper.update_params(model(10 * torch.randn(3, 4)).square().mean())
    for parameter, old in zip(model.parameters(), before):
        assert_close((parameter - old).norm().item(), 0.01, rtol=1e-3, atol=0)
    assert wrapper.grad_norm > 0.01


def test_parts_are_clipped_one_by_one():
    model = nn.ModuleDict(dict(backbone=nn.Linear(3, 2), neck=nn.Linear(2, 1)))
    for parameter, size in zip(model.parameters(), (3.0, 4.0, 0.1, 0.2)):
        parameter.grad = torch.full_like(parameter, size)
    before = [parameter.grad.clone() for parameter in model.parameters()]
    clip = dict(max_norm=1.0, parts=['backbone', ['neck']])
    wrapper = dict(
        type='mmssl.MixedPrecisionOptimWrapper', dtype=None, clip_grad=clip, optimizer=dict(type='SGD', lr=0.1)
    )
    wrapper = GroupedOptimWrapperConstructor(wrapper)(model)
    wrapper._clip_grad()
    after = [parameter.grad for parameter in model.parameters()]
    assert_close(torch.cat([x.flatten() for x in after[:2]]).norm(), torch.tensor(1.0), rtol=1e-5, atol=0)
    assert_close(after[0] / after[1][0], before[0] / before[1][0])
    assert torch.equal(after[2], before[2]) and torch.equal(after[3], before[3])
    assert_close(wrapper.grad_norm, torch.cat([x.flatten() for x in before]).norm())


def test_parts_must_hold_every_parameter_once():
    model = nn.ModuleDict(dict(backbone=nn.Linear(3, 2), neck=nn.Linear(2, 1)))
    with pytest.raises(ValueError, match='neck.weight must belong to one part'):
        split_parts(model, ['backbone'])
    with pytest.raises(ValueError, match="no trainable parameter begins with 'head'"):
        split_parts(model, ['backbone', 'neck', 'head'])

from __future__ import annotations

import torch
from torch import nn
from torch.optim import SGD
from torch.testing import assert_close

from mmssl.engine.optimizers.clipping import clip_each_norm_
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

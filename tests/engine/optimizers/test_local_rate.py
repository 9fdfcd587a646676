"""The local learning rate in the optimizer's step, where scaling inside the backward pass goes wrong."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.distributed as dist
from mmengine.optim import build_optim_wrapper
from torch import Tensor, nn
from torch.nn.utils.parametrize import register_parametrization
from torch.testing import assert_close

import mmssl.engine  # noqa: F401
from mmssl.distributed.collectives import rank, world_size
from mmssl.engine.optimizers.lars import LARS
from mmssl.engine.optimizers.local_rate import check_param_options, use_local_rates
from mmssl.models.layers.adder2d import Adder2d
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed

LR = 0.5


def _model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(Adder2d(3, 4, 3), nn.Conv2d(4, 2, 3))


def _batch() -> Tensor:
    # The gradients of images differ in size, so that a mean of unit vectors is not the unit vector of the mean.
    images = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float32)
    return images * torch.tensor([0.1, 1.0, 3.0, 9.0]).view(-1, 1, 1, 1)


def _loss(model: nn.Module, images: Tensor) -> Tensor:
    return model(images).square().mean()


def _steps(model: nn.Module, take: Callable) -> dict[str, Tensor]:
    before = {name: param.detach().clone() for name, param in model.named_parameters()}
    take(model)
    return {name: param.detach() - before[name] for name, param in model.named_parameters()}


def _expected() -> dict[str, Tensor]:
    """The paper's step of the whole batch: ``lr 0.2 sqrt(k) G / |G|`` for the adder filters, ``lr G`` for others."""
    model = _model()
    _loss(model, _batch()).backward()
    steps = {name: -LR * param.grad for name, param in model.named_parameters()}
    grad = model[0].adder.grad
    steps['0.adder'] = -LR * 0.2 * math.sqrt(grad.numel()) * grad / grad.norm()
    return steps


class _InBackward(torch.autograd.Function):
    """The official way: the gradient leaves the backward pass scaled."""

    @staticmethod
    def forward(ctx, weight):
        return weight.view_as(weight)

    @staticmethod
    def backward(ctx, grad):
        return grad / grad.norm().clamp(min=1e-12) * math.sqrt(grad.numel()) * 0.2


def _scaling_in_backward(model: nn.Module) -> nn.Module:
    """Trains the first layer's filters by gradients that are scaled inside the backward pass."""
    model[0].param_options = {}
    register_parametrization(model[0], 'adder', _Scaled())
    return model


class _Scaled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return _InBackward.apply(weight)


def _wrapper(model: nn.Module, **options) -> object:
    cfg = dict(
        type='mmssl.MixedPrecisionOptimWrapper',
        constructor='mmssl.GroupedOptimWrapperConstructor',
        dtype=None,
        optimizer=dict(type='SGD', lr=LR),
    )
    return build_optim_wrapper(model, {**cfg, **options})


def _train(model: nn.Module, batches: list[Tensor], **options) -> None:
    wrapper = _wrapper(model, **options)
    for images in batches:
        with wrapper.optim_context(model):
            loss = _loss(model, images)
        wrapper.update_params(loss)


def _adder_step(steps: dict[str, Tensor]) -> Tensor:
    return next(value for name, value in steps.items() if name.startswith('0.'))


def _check(train: Callable, others: float | None = 1.0) -> None:
    """The step of the filters is the paper's, that of other parameters ``others`` times the gradient's, and scaling
    inside the backward pass gives the filters another."""
    expected, found = _expected(), _steps(_model(), train)
    assert_close(found['0.adder'], expected['0.adder'], rtol=1e-4, atol=1e-5)
    if others is not None:
        assert_close(found['1.weight'], others * expected['1.weight'], rtol=1e-4, atol=1e-5)
    official = _adder_step(_steps(_scaling_in_backward(_model()), train))
    assert (official - expected['0.adder']).norm() > 0.05 * expected['0.adder'].norm()


def test_a_plain_step_is_the_same_either_way():
    found = _steps(_model(), lambda model: _train(model, [_batch()]))
    official = _steps(_scaling_in_backward(_model()), lambda model: _train(model, [_batch()]))
    assert_close(found, _expected(), rtol=1e-5, atol=1e-6)
    assert_close(_adder_step(official), found['0.adder'], rtol=1e-5, atol=1e-6)
    assert found['0.adder'].norm().item() == pytest.approx(LR * 0.2 * math.sqrt(4 * 3 * 9))


def test_accumulated_gradients():
    _check(lambda model: _train(model, list(_batch().chunk(2)), accumulative_counts=2))


def test_clipped_gradients():
    """The norm of all gradients is that of the gradients, not of what the local rate makes of them."""
    expected = _model()
    _loss(expected, _batch()).backward()
    norm = torch.stack([param.grad.norm() for param in expected.parameters()]).norm().item()
    _check(lambda model: _train(model, [_batch()], clip_grad=dict(max_norm=norm / 10)), others=0.1)


@pytest.mark.parametrize('fused', [False, True])
def test_scaled_losses(fused: bool):
    def train(model: nn.Module) -> None:
        wrapper = _wrapper(model, optimizer=dict(type='SGD', lr=LR, fused=fused))
        scaler = torch.amp.GradScaler('cpu', init_scale=2.0**16)
        scaler.scale(_loss(model, _batch())).backward()
        scaler.step(wrapper.optimizer)

    _check(train)


def test_bfloat16_steps_by_the_gradient_that_it_computes():
    model = _model()
    steps = _steps(model, lambda model: _train(model, [_batch()], dtype='bfloat16'))
    assert steps['0.adder'].norm().item() == pytest.approx(LR * 0.2 * math.sqrt(4 * 3 * 9), rel=1e-5)
    assert torch.cosine_similarity(steps['0.adder'].flatten(), _expected()['0.adder'].flatten(), dim=0) > 0.99


def _train_on_a_share(scale_in_backward: bool) -> Tensor:
    torch.set_default_dtype(torch.float32)
    model = _scaling_in_backward(_model()) if scale_in_backward else _model()

    def take(model: nn.Module) -> None:
        parallel = nn.parallel.DistributedDataParallel(model)
        wrapper = _wrapper(model)
        wrapper.update_params(_loss(parallel, _batch().chunk(world_size())[rank()]))
        dist.barrier()

    return _adder_step(_steps(model, take))


@pytest.mark.parametrize('processes', [2, 4])
def test_gradients_averaged_over_processes(processes: int):
    expected = _expected()['0.adder']
    for step in run_distributed(_train_on_a_share, processes, False):
        assert_close(step, expected, rtol=1e-4, atol=1e-5)
    official = run_distributed(_train_on_a_share, processes, True)[0]
    assert (official - expected).norm() > 0.05 * expected.norm()


@pytest.mark.parametrize('build', [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop, LARS])
def test_any_optimizer_steps_as_if_the_gradient_had_been_scaled(build: type):
    steps = []
    for by_group in (True, False):
        weight = nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4))
        weight.grad = torch.linspace(2, -3, 12).view(3, 4)
        optimizer = build([dict(params=[weight], local_rate=0.2 if by_group else None)], lr=0.1)
        use_local_rates(optimizer)
        use_local_rates(optimizer)  # once is enough
        if not by_group:
            weight.grad *= 0.2 * math.sqrt(12) / weight.grad.norm()
        optimizer.step()
        steps.append(weight.detach())
    assert_close(*steps, rtol=1e-6, atol=1e-7)


def test_no_gradient_and_a_gradient_of_0_are_left():
    weights = [nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))]
    weights[1].grad = torch.zeros(2)
    optimizer = torch.optim.SGD([dict(params=weights, local_rate=0.2)], lr=1.0)
    use_local_rates(optimizer)
    optimizer.step()
    assert all(torch.equal(weight, torch.ones(2)) for weight in weights)


def test_layers_ask_and_custom_keys_override():
    groups = _wrapper(_model()).optimizer.param_groups
    assert [group.get('local_rate') for group in groups] == [0.2, None]
    keys = dict(custom_keys={'.adder': dict(local_rate=0.05)})
    groups = _wrapper(_model(), paramwise_cfg=keys).optimizer.param_groups
    assert [group.get('local_rate') for group in groups] == [0.05, None]


def test_an_optimizer_that_passes_over_the_layer_is_refused():
    model = _model()
    with pytest.raises(UserError, match=r'no local_rate for 0\.adder.*GroupedOptimWrapperConstructor'):
        check_param_options(model, torch.optim.SGD(model.parameters(), lr=0.1))
    model[0].requires_grad_(False)
    check_param_options(model, torch.optim.SGD(model.parameters(), lr=0.1))

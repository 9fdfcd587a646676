from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.layers.sync_batch_norm import SyncBatchNorm, convert_sync_batchnorm
from tests.support.distributed import run_distributed


def _model() -> nn.Sequential:
    layers = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 5)
    model = nn.Sequential(*layers, nn.BatchNorm1d(5, affine=False)).double()
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        nn.init.normal_(parameter, generator=generator)
    return model


def _images() -> Tensor:
    return torch.randn(8, 3, 2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 3 + 5


def _results() -> dict[str, Tensor]:
    """Output rows, gradients averaged over processes, running statistics, of two steps."""
    model = convert_sync_batchnorm(_model())
    share = _images().chunk(world_size())[rank()].requires_grad_()
    for _ in range(2):
        out = model(share)
    (out**3).mean().backward()
    results = dict(out=out.detach(), input_grad=share.grad / world_size())
    for name, parameter in model.named_parameters():
        if world_size() > 1:
            torch.distributed.all_reduce(parameter.grad)
        results[f'grad {name}'] = parameter.grad / world_size()
    results.update({name: value.clone() for name, value in model.named_buffers()})
    model.eval()
    results['eval'] = model(share).detach()
    return results


@pytest.mark.parametrize('world', [2, 4])
def test_equals_one_process_with_the_whole_batch(world: int) -> None:
    expected = _results()
    results = run_distributed(_results, world)
    for key in expected:
        parts = [result[key] for result in results]
        actual = torch.cat(parts) if key in ('out', 'input_grad', 'eval') else parts[0]
        torch.testing.assert_close(actual, expected[key], rtol=1e-9, atol=1e-12)


def _converted() -> tuple[list[str], bool, bool]:
    model = nn.Sequential(nn.BatchNorm2d(2), nn.Sequential(nn.BatchNorm1d(2)), nn.SyncBatchNorm(2))
    model[1].sync = False
    weight = model[0].weight
    convert_sync_batchnorm(model)
    return (
        [type(part).__name__ for part in (model[0], model[1][0], model[2])],
        model[0].weight is weight,
        (
            isinstance(model[2], SyncBatchNorm)  # torch's does not run here
        ),
    )


def test_converts_in_place_and_leaves_out_what_says_so() -> None:
    assert run_distributed(_converted, 2)[0] == (['SyncBatchNorm', 'BatchNorm1d', 'SyncBatchNorm'], True, True)


def test_one_process_keeps_plain_batch_norm() -> None:
    model = _model()
    assert type(convert_sync_batchnorm(model)[1]) is nn.BatchNorm2d
    norm, plain = SyncBatchNorm(3), nn.BatchNorm2d(3)
    images = torch.randn(4, 3, 2, 2)
    assert torch.equal(norm(images), plain(images))

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import mse_loss
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.losses.vicreg_loss import VICRegLoss, covariance_penalty, variance_hinge, vicreg
from tests.support.distributed import run_distributed
from tests.support.spec_tensors import A, B


def test_terms():
    assert_close(mse_loss(A, B).item(), 0.9971176141, rtol=1e-9, atol=0)
    assert_close((variance_hinge(A) + variance_hinge(B)).item() / 2, 0.4139798730, rtol=1e-9, atol=0)
    assert_close((covariance_penalty(A) + covariance_penalty(B)).item(), 2.9554537376, rtol=1e-9, atol=0)


@pytest.mark.parametrize(('weights', 'value'), [({}, 38.2328909145), ({'variance': 50.0}, 48.5823877383)])
def test_value(weights, value):
    assert_close(VICRegLoss(**weights)(A, B).item(), value, rtol=1e-10, atol=0)


def test_collapsed_embeddings():
    zeros = torch.zeros(4, 8).double()
    assert_close(variance_hinge(zeros).item(), 0.99)
    assert_close(VICRegLoss()(zeros, zeros).item(), 24.75)


def test_an_offset_of_both_views_does_not_matter():
    offset = torch.randn(8).double()
    assert_close(vicreg(A + offset, B + offset, 25, 25, 1), vicreg(A, B, 25, 25, 1))


def test_uncorrelated_dimensions_have_no_covariance():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert covariance_penalty(3 * z) == 0


def test_large_deviations_feel_no_hinge():
    z = (10 * A).requires_grad_()
    loss = variance_hinge(z)
    loss.backward()
    assert (z.std(dim=0) > 1).all() and loss == 0 and not z.grad.any()


def test_the_gradient_is_that_of_the_formula():
    assert torch.autograd.gradcheck(lambda z: vicreg(z, B, 25, 25, 1), A.clone().requires_grad_())


def _on_a_share(images: Tensor) -> tuple[Tensor, Tensor]:
    weight = torch.linspace(-1, 1, 48, dtype=torch.float64).sin().view(8, 6).requires_grad_()
    first, second = (x.chunk(world_size())[rank()] for x in images)
    loss = VICRegLoss()(first @ weight, second @ weight)
    loss.backward()
    return loss.detach(), weight.grad


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_average_to_the_loss_and_gradient_of_the_whole_batch(processes):
    images = 0.5 * torch.randn(2, 8, 8, dtype=torch.float64)
    results = run_distributed(_on_a_share, processes, images)
    for alone, shares in zip(_on_a_share(images), zip(*results)):
        assert_close(sum(shares) / processes, alone)

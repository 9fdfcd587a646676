from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.models.losses.barlow_twins_loss import BarlowTwinsLoss, barlow_twins, cross_correlation
from tests.support.distributed import run_distributed
from tests.support.spec_tensors import A, B


def standardised(*embeddings: Tensor) -> list[Tensor]:
    norm = nn.BatchNorm1d(embeddings[0].shape[1], affine=False).double()
    return [norm(z) for z in embeddings]


@pytest.mark.parametrize(
    ('views', 'on_diagonal', 'off_diagonal', 'value'),
    [((A, B), 7.4080876390, 13.8345518204, 7.4786438533), ((A, A), 8.699e-08, 33.9831422627, 0.1733141125)],
)
def test_value(views, on_diagonal, off_diagonal, value):
    z1, z2 = standardised(*views)
    correlation = cross_correlation(z1, z2)
    assert_close((correlation.diagonal() - 1).square().sum().item(), on_diagonal, rtol=1e-3, atol=0)
    others = correlation - correlation.diagonal().diag()
    assert_close(others.square().sum().item(), off_diagonal, rtol=1e-10, atol=0)
    assert_close(BarlowTwinsLoss()(z1, z2).item(), value, rtol=1e-9, atol=0)


def test_constant_embeddings_cost_their_width():
    assert barlow_twins(*standardised(torch.ones_like(A), torch.ones_like(B)), 0.0051) == 8


def test_uncorrelated_dimensions_that_agree_cost_nothing():
    z = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert barlow_twins(z, z, 1.0) == 0
    assert barlow_twins(z, z.flip(1), 1.0) == 4  # dimensions exchanged: nothing where 1 should be, and 1 beside it


def test_scale_and_offset_of_a_dimension_do_not_matter():
    scale, offset = 5 + torch.arange(8.0).double(), torch.randn(8).double()
    z = torch.randn(64, 8).double()
    plain, changed = (barlow_twins(*standardised(x, x.flip(1)), 0.1) for x in (z, z * scale + offset))
    assert_close(changed, plain, rtol=1e-4, atol=0)  # but for the epsilon of the norm


def test_the_gradient_is_that_of_the_formula():
    assert torch.autograd.gradcheck(lambda z: barlow_twins(z, B, 0.3), A.clone().requires_grad_())


def test_arguments_are_checked():
    with pytest.raises(ValueError, match="'exact' or 'official'.*'half'"):
        BarlowTwinsLoss(grad_scale='half')


def _on_a_share(images: Tensor, grad_scale: str) -> tuple[Tensor, Tensor]:
    norm = convert_sync_batchnorm(nn.BatchNorm1d(6, affine=False).double())
    weight = torch.linspace(-1, 1, 48, dtype=torch.float64).sin().view(8, 6).requires_grad_()
    first, second = (norm(x.chunk(world_size())[rank()] @ weight) for x in images)
    loss = BarlowTwinsLoss(grad_scale=grad_scale)(first, second)
    loss.backward()
    return loss.detach(), weight.grad


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_share_the_loss_and_average_to_its_gradient_or_to_a_part_of_it(processes):
    images = torch.randn(2, 8, 8, dtype=torch.float64)
    loss, gradient = _on_a_share(images, 'exact')
    for grad_scale, part in (('exact', 1), ('official', 1 / processes)):
        losses, gradients = zip(*run_distributed(_on_a_share, processes, images, grad_scale))
        for value in losses:
            assert_close(value, loss)
        assert_close(sum(gradients) / processes, gradient * part)

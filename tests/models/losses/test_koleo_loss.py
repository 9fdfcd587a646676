from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.losses.koleo_loss import KoLeoLoss, koleo
from tests.support.distributed import run_distributed
from tests.support.spec_tensors import A


def test_value_of_the_specification():
    assert koleo(A).item() == pytest.approx(1.222281254934, rel=1e-10)


def test_orthogonal_rows_are_the_root_of_two_apart():
    assert koleo(5 * torch.eye(4, dtype=torch.float64)).item() == pytest.approx(-math.log(2) / 2, rel=1e-6)


def test_groups_do_not_see_each_other():
    x = torch.randn(6, 5, dtype=torch.float64)
    assert_close(koleo(x, 3), (koleo(x[:3]) + koleo(x[3:])) / 2)
    with pytest.raises(ValueError, match='group_size=4 must divide the 6 images'):
        KoLeoLoss(group_size=4)(x)
    with pytest.raises(ValueError, match='at least 2'):
        KoLeoLoss(group_size=1)


def test_one_image_has_no_neighbour():
    with pytest.raises(ValueError, match='a batch of 1 is too small'):
        KoLeoLoss()(torch.ones(1, 5))


def test_processes_search_the_whole_batch():
    x = torch.randn(8, 5, dtype=torch.float64)
    loss, gradient = _loss_and_gradient(x)
    shares = run_distributed(_loss_and_gradient, 2, x)
    assert_close(sum(share[0] for share in shares) / 2, loss)
    assert_close(torch.cat([share[1] for share in shares]) / 2, gradient)


def _loss_and_gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    own = x.chunk(world_size())[rank()].clone().requires_grad_()
    loss = koleo(own)
    return loss.detach(), torch.autograd.grad(loss, own)[0]

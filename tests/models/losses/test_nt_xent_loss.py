from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.losses.nt_xent_loss import NTXentLoss, nt_xent
from tests.support.distributed import run_distributed
from tests.support.spec_tensors import A, B


@pytest.mark.parametrize(('temperature', 'value'), [(0.1, 20.5325996443), (0.5, 6.0036627187), (1.0, 4.6054666917)])
def test_value(temperature, value):
    assert_close(nt_xent(A, B, temperature).item(), value, rtol=1e-10, atol=0)
    assert_close(NTXentLoss(temperature)(A, B).item(), value, rtol=1e-10, atol=0)
    assert_close(NTXentLoss(temperature, reduction='mean')(A, B).item(), value / 2, rtol=1e-10, atol=0)


def test_reference_loop():
    first, second = torch.randn(2, 5, 7, dtype=torch.float64)
    views = normalize(torch.cat((first, second)), dim=1)
    loss = 0.0
    for anchor in range(10):
        partner = (anchor + 5) % 10
        others = [other for other in range(10) if other != anchor]
        logits = views[others] @ views[anchor] / 0.3
        loss += logits.exp().sum().log() - views[partner] @ views[anchor] / 0.3
    assert_close(nt_xent(first, second, 0.3), loss / 5)


def test_invariances():
    loss = nt_xent(A, B, 0.1)
    order = torch.randperm(4)
    assert_close(nt_xent(A[order], B[order], 0.1), loss)
    assert_close(nt_xent(B, A, 0.1), loss)
    rotation = torch.linalg.qr(torch.randn(8, 8, dtype=torch.float64)).Q
    assert_close(nt_xent(A @ rotation, B @ rotation, 0.1), loss)


def test_chance_is_the_logarithm_of_the_other_views():
    first, second = torch.randn(2, 512, 16)
    assert_close(NTXentLoss(100.0, 'mean')(first, second).item(), math.log(1023), rtol=1e-3, atol=0)


def test_the_gradient_is_that_of_the_loss():
    x, y = A.clone().requires_grad_(), B.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x, y: nt_xent(x, y, 0.5), (x, y))


def test_unknown_reduction():
    with pytest.raises(ValueError, match="'sum'.*'mean'.*'none'"):
        NTXentLoss(reduction='none')


def _on_a_share(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    weight = torch.ones(8, dtype=torch.float64, requires_grad=True)
    mine = (x.chunk(world_size())[rank()] * weight for x in (first, second))
    loss = nt_xent(*mine, 0.1)
    loss.backward()
    return loss.detach(), weight.grad


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_average_to_the_loss_and_gradient_of_the_whole_batch(processes):
    loss, grad = _on_a_share(A, B)
    results = run_distributed(_on_a_share, processes, A, B)
    assert_close(sum(result[0] for result in results) / processes, loss)
    assert_close(sum(result[1] for result in results) / processes, grad)

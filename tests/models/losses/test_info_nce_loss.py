from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.losses.info_nce_loss import InfoNCELoss, info_nce
from tests.support.distributed import run_distributed
from tests.support.spec_tensors import A, B, C, E


@pytest.mark.parametrize(
    ('temperature', 'value', 'symmetric'), [(1.0, 3.4298438438, 6.5713893033), (0.2, 2.0361906335, 3.8107502230)]
)
def test_value(temperature, value, symmetric):
    loss = InfoNCELoss(temperature)
    assert_close(loss(A, B).item(), value, rtol=1e-10, atol=0)
    assert_close((loss(A, B) + loss(C, E)).item(), symmetric, rtol=1e-10, atol=0)


def test_chance_is_the_logarithm_of_the_keys():
    keys = torch.ones(16, 4)
    assert_close(info_nce(torch.randn(16, 4), keys, 0.5).item(), math.log(16), rtol=1e-6, atol=0)


def test_the_gradient_hardly_depends_on_a_high_temperature():
    grads = []
    for temperature in (50.0, 100.0):
        queries = A.clone().requires_grad_()
        info_nce(queries, B, temperature).backward()
        grads.append(queries.grad)
    assert_close(grads[0], grads[1], rtol=0.05, atol=1e-3 * grads[0].abs().max().item())


def test_invariances():
    order = torch.randperm(4)
    assert_close(info_nce(A[order], B[order], 0.2), info_nce(A, B, 0.2))
    assert not torch.isclose(info_nce(A[order.roll(1)], B[order], 0.2), info_nce(A, B, 0.2))


def _on_a_share(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    scale, bias = (torch.full((8,), value, dtype=torch.float64, requires_grad=True) for value in (1.0, 0.1))
    queries, keys = (x.chunk(world_size())[rank()] for x in (queries, keys))
    loss = info_nce(queries * scale, keys + bias, 0.2)
    loss.backward()
    return loss.detach(), scale.grad, bias.grad


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_average_to_the_loss_and_gradient_of_the_whole_batch(processes):
    results = run_distributed(_on_a_share, processes, A, B)
    for alone, shares in zip(_on_a_share(A, B), zip(*results)):
        assert_close(sum(shares) / processes, alone)

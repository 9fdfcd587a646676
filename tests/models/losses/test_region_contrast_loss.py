from __future__ import annotations

import math

import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.distributed.collectives import gather_constant, rank, world_size
from mmssl.models.losses.queue_contrast_loss import queue_contrast
from mmssl.models.losses.region_contrast_loss import RegionContrastLoss, region_contrast
from tests.support.distributed import run_distributed

QUERIES, KEYS = torch.randn(2, 4, 3, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
BANK = normalize(torch.randn(6, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64), dim=1)
VISIBLE = torch.tensor([[1, 1, 0], [0, 0, 0], [1, 1, 1], [0, 1, 0]], dtype=torch.bool)


def test_only_visible_regions_count():
    expected = queue_contrast(QUERIES[VISIBLE], KEYS[VISIBLE], BANK, 0.2)
    assert_close(RegionContrastLoss(0.2)(QUERIES, KEYS, BANK, VISIBLE), expected)
    other = torch.where(VISIBLE[..., None], QUERIES, 7.0)
    assert_close(region_contrast(other, KEYS, BANK, VISIBLE, 0.2), expected)
    assert_close(region_contrast(QUERIES, KEYS, BANK, VISIBLE, 0.2, per_process=True), expected)


def test_orthogonal_negatives_have_a_closed_form():
    one = torch.eye(4, dtype=torch.float64)[:1].view(1, 1, 4)
    value = region_contrast(one, one, torch.eye(4, dtype=torch.float64)[1:], torch.ones(1, 1, dtype=torch.bool), 0.5)
    assert_close(value.item(), math.log(1 + 3 * math.exp(-2)))


def test_without_a_visible_region_the_loss_is_zero_and_has_a_gradient():
    for per_process in (False, True):
        queries = QUERIES.clone().requires_grad_()
        loss = region_contrast(queries, KEYS, BANK, torch.zeros_like(VISIBLE), 0.2, per_process)
        loss.backward()
        assert loss == 0 and (queries.grad == 0).all()


def _share_of_the_loss() -> tuple[torch.Tensor, torch.Tensor]:
    own = slice(rank() * 4 // world_size(), (rank() + 1) * 4 // world_size())
    queries = QUERIES[own].clone().requires_grad_()
    bank = gather_constant(BANK.chunk(world_size())[rank()])
    loss = region_contrast(queries, KEYS[own], bank, VISIBLE[own], 0.2)
    loss.backward()
    return loss.detach(), queries.grad


def test_processes_with_different_numbers_of_regions_are_one():
    losses, gradients = zip(*run_distributed(_share_of_the_loss, 2))
    queries = QUERIES.clone().requires_grad_()
    alone = region_contrast(queries, KEYS, BANK, VISIBLE, 0.2)
    alone.backward()
    assert_close(sum(losses) / 2, alone.detach())
    assert_close(torch.cat(gradients) / 2, queries.grad)  # DDP averages over two processes

from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.losses.attention_loss import attention_cosine
from tests.support.distributed import run_distributed

MAPS, MASKS = torch.rand(2, 4, 3, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_maps_that_are_the_masks_up_to_a_factor_give_zero():
    assert_close(attention_cosine(3 * MASKS, MASKS).item(), 0.0)


def test_a_constant_mask_has_a_closed_form():
    expected = 1 - MAPS.sum() / (MAPS.norm() * 6)  # the root of 4 * 9 values
    assert_close(attention_cosine(MAPS, torch.ones_like(MASKS)), expected)


def test_it_is_no_mean_over_images_and_a_batch_without_masks_is_finite():
    alone = torch.stack([attention_cosine(a[None], b[None]) for a, b in zip(MAPS, MASKS)]).mean()
    assert abs(alone - attention_cosine(MAPS, MASKS)) > 1e-3
    assert attention_cosine(MAPS, torch.zeros_like(MASKS)) == 1


def _share() -> tuple[torch.Tensor, torch.Tensor]:
    maps = MAPS.chunk(world_size())[rank()].clone().requires_grad_()
    loss = attention_cosine(maps, MASKS.chunk(world_size())[rank()])
    loss.backward()
    return loss.detach(), maps.grad


def test_two_processes_are_one():
    losses, gradients = zip(*run_distributed(_share, 2))
    maps = MAPS.clone().requires_grad_()
    alone = attention_cosine(maps, MASKS)
    alone.backward()
    assert_close(sum(losses) / 2, alone.detach())
    assert_close(torch.cat(gradients) / 2, maps.grad)  # DDP averages over two processes

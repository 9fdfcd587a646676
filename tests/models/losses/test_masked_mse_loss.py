"""The loss of MAE: the specification's value, and what must not change it."""

from __future__ import annotations

import pytest
import torch
import torch.distributed as dist
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.losses.masked_mse_loss import MaskedMSELoss, masked_mse
from mmssl.models.targets.pixel_target import PixelTarget
from tests.support.distributed import run_distributed

MASK = torch.tensor([[0, 1, 1, 1], [1, 1, 0, 1]], dtype=torch.bool)


def test_value_of_the_specification():
    images = torch.sin(0.01 * torch.arange(6144, dtype=torch.float64)).reshape(2, 3, 32, 32)
    predictions = torch.cos(0.02 * torch.arange(6144, dtype=torch.float64)).reshape(2, 4, 768)
    for standardize, expected in ((True, 1.498359), (False, 1.002821)):
        loss = MaskedMSELoss()(predictions, PixelTarget(16, standardize)(images), MASK)
        assert_close(loss.item(), expected, rtol=0, atol=1e-5)


def test_visible_patches_have_no_part():
    predictions, targets = torch.randn(2, 4, 5), torch.randn(2, 4, 5)
    changed = torch.where(MASK.unsqueeze(-1), predictions, 100)
    assert torch.equal(masked_mse(predictions, targets, MASK), masked_mse(changed, targets, MASK))


def test_a_target_with_another_number_of_patches_is_an_error():
    with pytest.raises(ValueError, match=r'\(2, 4, 5\) and targets \(2, 1, 5\) differ in shape'):
        masked_mse(torch.zeros(2, 4, 5), torch.ones(2, 1, 5), torch.ones(2, 4, dtype=torch.bool))


def test_nothing_hidden_is_no_loss():
    assert masked_mse(torch.randn(2, 4, 5), torch.randn(2, 4, 5), torch.zeros_like(MASK)) == 0


def test_half_precision_is_widened():
    predictions = torch.full((1, 4, 5), 300.0, dtype=torch.bfloat16)
    assert masked_mse(predictions, torch.zeros(1, 4, 5), MASK[:1]) == 90000


def test_processes_with_different_numbers_of_hidden_patches_share_one_mean():
    ((loss, gradient),) = run_distributed(_share_of_a_batch, 1)
    assert_close(loss, masked_mse(*_batch()).detach())
    for other, other_gradient in run_distributed(_share_of_a_batch, 2):
        assert_close(other, loss, rtol=1e-12, atol=0)
        assert_close(other_gradient, gradient, rtol=1e-12, atol=0)


def _batch():
    generator = torch.Generator().manual_seed(3)
    predictions, targets = torch.randn(2, 4, 6, 5, dtype=torch.float64, generator=generator)
    mask = torch.zeros(4, 6, dtype=torch.bool)
    mask[0, :5] = mask[1, 2] = mask[3, 0] = True
    return predictions, targets, mask


def _share_of_a_batch():
    scale = torch.ones(5, dtype=torch.float64, requires_grad=True)
    predictions, targets, mask = (tensor.chunk(world_size())[rank()] for tensor in _batch())
    loss = masked_mse(predictions * scale, targets, mask)
    loss.backward()
    for tensor in (loss := loss.detach(), scale.grad):
        dist.all_reduce(tensor)
        tensor /= world_size()
    return loss, scale.grad

"""The loss of SimMIM: the specification's value, and what must not change it."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import patchify
from mmssl.models.losses.masked_l1_loss import MaskedL1Loss, masked_l1


def test_value_of_the_specification():
    steps = 0.01 * torch.arange(2 * 3 * 64 * 64, dtype=torch.float64).reshape(2, 3, 64, 64)
    mask = torch.zeros(2, 4, 4, dtype=torch.bool)
    mask[0, :2] = mask[1, :, 3] = True
    loss = MaskedL1Loss()(patchify(steps.cos(), 16), patchify(steps.sin(), 16), mask.flatten(1))
    assert_close(loss.item(), 0.882035, rtol=0, atol=1e-6)


def test_equals_the_pixel_form_of_the_official_code():
    images, predictions = torch.randn(2, 3, 3, 32, 32, dtype=torch.float64)
    mask = torch.rand(3, 8, 8) < 0.4
    pixels = mask.repeat_interleave(4, 1).repeat_interleave(4, 2).unsqueeze(1)
    expected = ((predictions - images).abs() * pixels).sum() / (pixels.sum() + 1e-5) / 3
    assert_close(masked_l1(patchify(predictions, 4), patchify(images, 4), mask.flatten(1)), expected)


def test_a_target_with_another_number_of_patches_is_an_error():
    with pytest.raises(ValueError, match=r'\(2, 4, 5\) and targets \(2, 1, 5\) differ in shape'):
        masked_l1(torch.zeros(2, 4, 5), torch.ones(2, 1, 5), torch.ones(2, 4, dtype=torch.bool))


def test_nothing_hidden_is_no_loss():
    assert masked_l1(torch.randn(2, 4, 5), torch.randn(2, 4, 5), torch.zeros(2, 4, dtype=torch.bool)) == 0


def test_visible_patches_have_no_part():
    mask = torch.tensor([[True, False], [True, True]])
    predictions, targets = torch.randn(2, 2, 3), torch.randn(2, 2, 3)
    changed = torch.where(mask.unsqueeze(-1), predictions, 100)
    assert torch.equal(masked_l1(predictions, targets, mask), masked_l1(changed, targets, mask))

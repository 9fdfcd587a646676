"""SmoothL1Loss: its closed form, and which patches count."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.losses.smooth_l1_loss import SmoothL1Loss, smooth_l1


def test_closed_form():
    predictions = torch.linspace(-2, 2, 9).view(1, 1, 9)
    assert_close(smooth_l1(predictions, torch.zeros(1, 1, 9)).item(), 0.694444, rtol=0, atol=1e-6)
    assert_close(smooth_l1(predictions, torch.zeros(1, 1, 9), beta=0.5).item(), 8 / 9, rtol=0, atol=1e-6)


def test_which_patches_count():
    predictions, targets = torch.zeros(2, 3, 4), torch.zeros(2, 3, 4)
    predictions[0, 0], predictions[1, 2] = 2.0, 4.0  # errors 1.5 and 3.5
    mask = torch.tensor([[True, True, False], [False, False, False]])
    assert_close(SmoothL1Loss()(predictions, targets, mask).item(), 5 / 6)
    assert_close(SmoothL1Loss(hidden_only=True)(predictions, targets, mask).item(), 1.5 / 2)


def test_another_number_of_patches_is_an_error():
    with pytest.raises(ValueError, match=r'\(2, 4, 8\) and targets \(2, 1, 8\) differ'):
        SmoothL1Loss()(torch.zeros(2, 4, 8), torch.zeros(2, 1, 8), torch.zeros(2, 4, dtype=torch.bool))


def test_hidden_patches_alone_need_a_mask():
    with pytest.raises(ValueError, match='hidden_only=True needs a mask'):
        SmoothL1Loss(hidden_only=True)(torch.zeros(2, 4, 8), torch.zeros(2, 4, 8))

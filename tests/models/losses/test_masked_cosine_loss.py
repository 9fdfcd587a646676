"""The loss of EVA and MVP: its range, and which patches count."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.losses.masked_cosine_loss import MaskedCosineLoss, masked_cosine

MASK = torch.tensor([[True, False, True], [False, False, True]])


def test_equal_opposite_and_scaled_features():
    features = torch.randn(2, 3, 5)
    assert_close(masked_cosine(features, 3 * features, MASK).item(), -1.0)
    assert_close(masked_cosine(-features, features, MASK).item(), 1.0)


def test_is_the_plain_loop_over_hidden_or_over_all_patches():
    predictions, targets = torch.randn(2, 2, 3, 5, dtype=torch.float64)
    cosines = (predictions * targets).sum(-1) / predictions.norm(dim=-1) / targets.norm(dim=-1)
    assert_close(MaskedCosineLoss()(predictions, targets, MASK), -cosines[MASK].mean())
    assert_close(MaskedCosineLoss(hidden_only=False)(predictions, targets, MASK), -cosines.mean())


def test_another_number_of_patches_is_named():
    with pytest.raises(ValueError, match='as many patches as the student'):
        masked_cosine(torch.randn(2, 3, 5), torch.randn(2, 4, 5))

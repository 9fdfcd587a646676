"""Cross entropy with smoothed and mixed labels."""

from __future__ import annotations

import math

import pytest
import torch
from timm.data.mixup import mixup_target
from torch.testing import assert_close

from mmssl.models.losses.cross_entropy_loss import CrossEntropyLoss, smoothed_cross_entropy


def test_closed_form():
    logits = torch.tensor([[math.log(6.0), math.log(3.0), 0.0]], dtype=torch.float64)  # probabilities .6 .3 .1
    assert_close(smoothed_cross_entropy(logits, torch.tensor([0])).item(), -math.log(0.6))
    targets = (0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3)
    expected = -sum(t * math.log(p) for t, p in zip(targets, (0.6, 0.3, 0.1)))
    assert_close(smoothed_cross_entropy(logits, torch.tensor([0]), 0.1).item(), expected)
    assert_close(smoothed_cross_entropy(torch.zeros(4, 1000), torch.arange(4), 0.1).item(), math.log(1000))


def test_smoothing_of_mixed_labels_is_timms():
    logits, labels = torch.randn(6, 5, dtype=torch.float64), torch.tensor([0, 4, 2, 1, 1, 3])
    mixed = mixup_target(labels, 5, lam=0.3).double()
    smoothed = mixup_target(labels, 5, lam=0.3, smoothing=0.1).double()
    expected = -(smoothed * logits.log_softmax(1)).sum(1).mean()
    assert_close(CrossEntropyLoss(0.1)(logits, mixed), expected, rtol=0, atol=1e-6)


def test_half_precision_is_computed_in_single():
    logits = torch.randn(8, 10, dtype=torch.bfloat16)
    assert_close(CrossEntropyLoss()(logits, torch.arange(8)), CrossEntropyLoss()(logits.float(), torch.arange(8)))


def test_range():
    with pytest.raises(ValueError, match='got 1.5'):
        CrossEntropyLoss(1.5)

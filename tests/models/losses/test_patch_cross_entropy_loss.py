from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.losses.patch_cross_entropy_loss import PatchCrossEntropyLoss, patch_cross_entropy


def test_the_loss_as_a_plain_loop():
    logits, targets = torch.randn(5, 7, dtype=torch.float64), torch.rand(5, 7, dtype=torch.float64).softmax(dim=1)
    weights = torch.rand(5, dtype=torch.float64)
    expected = sum(
        -weights[p] * sum(targets[p, c] * (logits[p] / 0.2).softmax(dim=0)[c].log() for c in range(7)) for p in range(5)
    )
    assert_close(patch_cross_entropy(logits, targets, weights, 0.2), expected)


def test_equal_logits_cost_the_logarithm_of_the_number_of_prototypes():
    weights, targets = torch.full((4,), 0.25), torch.randn(4, 8).softmax(dim=1)
    loss = PatchCrossEntropyLoss(weight=0.5)(torch.zeros(4, 8), targets, weights)
    assert loss.item() == pytest.approx(0.5 * math.log(8))


def test_no_row_costs_nothing_and_has_a_gradient_of_zero():
    logits = torch.zeros(0, 8, requires_grad=True)
    loss = PatchCrossEntropyLoss()(logits, torch.zeros(0, 8), torch.zeros(0))
    loss.backward()
    assert loss.item() == 0 and logits.grad.shape == (0, 8)

from __future__ import annotations

from torch.testing import assert_close

from mmssl.models.losses.negative_cosine_loss import NegativeCosineLoss, negative_cosine
from tests.support.spec_tensors import A, B, C, E


def test_value():
    loss = NegativeCosineLoss()
    assert_close(((loss(A, E) + loss(C, B)) / 2).item(), -0.2734102108, rtol=0, atol=1e-10)


def test_best_and_worst():
    assert_close(negative_cosine(A, 2 * A).item(), -1.0)
    assert_close(negative_cosine(A, -A).item(), 1.0)

from __future__ import annotations

import torch
from torch.nn.functional import cosine_similarity
from torch.testing import assert_close

from mmssl.models.losses.cosine_regression_loss import CosineRegressionLoss, cosine_regression
from tests.support.spec_tensors import A, B, C, E


def test_value():
    loss = CosineRegressionLoss()
    assert_close(loss(A, B).item(), 1.9917423984, rtol=1e-10, atol=0)
    assert_close((loss(A, B) + loss(C, E)).item(), 3.8280907350, rtol=1e-10, atol=0)
    assert_close(loss(A, B), 2 - 2 * cosine_similarity(A, B).mean())


def test_identical_orthogonal_and_opposite_vectors():
    x = torch.eye(4)
    for other, value in ((2 * x, 0.0), (x.roll(1, 0), 2.0), (-x, 4.0)):
        assert_close(cosine_regression(x, other).item(), value)

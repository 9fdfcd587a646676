from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.models.losses.queue_contrast_loss import QueueContrastLoss, queue_contrast
from tests.support.spec_tensors import A, B, wave

QUEUE = normalize(wave('sin', 0.37, rows=8, columns=16), dim=0).T


@pytest.mark.parametrize(('temperature', 'value'), [(0.07, 11.0636649670), (0.2, 4.9968871578)])
def test_value(temperature, value):
    assert_close(QueueContrastLoss(temperature)(A, B, QUEUE).item(), value, rtol=1e-10, atol=0)


def test_chance_is_the_logarithm_of_all_candidates():
    loss = queue_contrast(torch.zeros(2, 4), torch.ones(2, 4), torch.ones(65536, 4), 0.07)
    assert_close(loss.item(), 11.0903701476, rtol=1e-6, atol=0)
    assert_close(loss.item(), math.log(65537), rtol=1e-6, atol=0)


def test_invariances():
    loss, order = queue_contrast(A, B, QUEUE, 0.2), torch.randperm(4)
    assert_close(queue_contrast(A[order], B[order], QUEUE, 0.2), loss)
    assert_close(queue_contrast(A, B, QUEUE.flip(0), 0.2), loss)

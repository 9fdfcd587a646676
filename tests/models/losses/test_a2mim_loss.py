"""The loss of A2MIM: the specification's values, and what must not change it."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.losses.a2mim_loss import A2MIMLoss, focal_frequency, focal_l1
from tests.support.spec_tensors import A, B, C

X = torch.stack([rows.reshape(4, 4) for rows in (A[:2], A[2:], C[:2])]).expand(2, 3, 4, 4)
Y = torch.stack([rows.reshape(4, 4) for rows in (B[:2], B[2:], B[:2])]) * torch.tensor([1, 0.5]).view(2, 1, 1, 1)
CELLS = torch.tensor([[[1, 0], [0, 0]], [[0, 1], [0, 1]]], dtype=torch.bool)
HIDDEN = CELLS.repeat_interleave(2, 1).repeat_interleave(2, 2).unsqueeze(1)
VIT = dict(focal=False, frequency_weight=0.1, visible_weight=0.0)


def test_values_of_the_specification():
    assert_close(focal_l1((A - B).abs()).mean().item(), 0.099219850236)
    assert_close(focal_frequency(Y - X).item(), 0.474679054280)


@pytest.mark.parametrize(('options', 'value'), [({}, 0.167280729874), (VIT, 0.690481669533)])
def test_values_of_both_recipes(options, value):
    assert_close(A2MIMLoss(**options)(Y, X, HIDDEN).item(), value, rtol=1e-5, atol=0)


def test_opposite_errors_cancel_in_the_mean_spectrum_only():
    images, hidden = torch.zeros(2, 3, 4, 4, dtype=torch.float64), torch.ones(2, 1, 4, 4, dtype=torch.bool)
    predictions = torch.randn(1, 3, 4, 4, dtype=torch.float64) * torch.tensor([1, -1]).view(2, 1, 1, 1)
    terms = {kind: A2MIMLoss(spectrum=kind)(predictions, images, hidden) for kind in ('batch', 'image')}
    spatial = A2MIMLoss(frequency_weight=0.0)(predictions, images, hidden)
    assert_close(terms['batch'], spatial)
    assert terms['image'] > spatial + 1e-3

"""Masks of large units: counts, units, uniformity."""

from __future__ import annotations

import pytest
import torch

from mmssl.models.maskers.simmim_masker import SimMIMMasker, unit_mask


@pytest.mark.parametrize(('side', 'patch', 'units'), [(192, 4, 22), (192, 16, 22), (224, 16, 30), (224, 32, 30)])
def test_counts_of_the_specification(side, patch, units):
    masker = SimMIMMasker(0.6, 32, patch)
    mask = masker(torch.zeros(3, 3, side, side))
    assert mask.shape == (3, (side // patch) ** 2)
    per_unit = (32 // patch) ** 2
    assert mask.sum(dim=1).tolist() == [units * per_unit] * 3
    assert masker.num_hidden(mask.shape[1]) == units * per_unit


def test_units_are_hidden_as_a_whole():
    mask = SimMIMMasker(0.5, 8, 4)(torch.zeros(5, 3, 16, 24)).view(5, 2, 2, 3, 2)  # unit row, row, unit column, column
    assert torch.equal(mask.all(dim=4).all(dim=2), mask.any(dim=4).any(dim=2))


def test_the_first_of_the_order_are_hidden():
    order = torch.tensor([[2, 0, 1, 3]])
    assert unit_mask(order, 2, (2, 2), 1).tolist() == [[True, False, True, False]]
    assert unit_mask(order, 1, (1, 4), 2).view(2, 8).int().tolist() == [[0, 0, 0, 0, 1, 1, 0, 0]] * 2


def test_every_unit_is_hidden_equally_often():
    mask = SimMIMMasker(0.6, 8, 8)(torch.zeros(4000, 3, 32, 40))
    assert (mask.double().mean(dim=0) - 0.6).abs().max() < 0.035


def test_wrong_sizes():
    with pytest.raises(ValueError, match='share of hidden units'):
        SimMIMMasker(1.5)
    with pytest.raises(ValueError, match='multiple of patch_size=12, got 32'):
        SimMIMMasker(patch_size=12)
    with pytest.raises(ValueError, match='multiples of unit_size=32, got 48 x 32'):
        SimMIMMasker()(torch.zeros(1, 3, 48, 32))
    with pytest.raises(ValueError, match='positive multiple of patch_size=16, got 0'):
        SimMIMMasker(unit_size=0)
    with pytest.raises(ValueError, match='patch_size must be at least 1 pixel, got 0'):
        SimMIMMasker(patch_size=0)

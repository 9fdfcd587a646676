"""Blocks of CAPI: how many patches are visible, hidden and predicted, on grids of any shape."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from mmssl.models.maskers.inverse_block_masker import InverseBlockMasker, rolled_block


def test_visible_and_predicted_patches_are_disjoint_and_of_the_published_number():
    visible, predicted = InverseBlockMasker()(torch.zeros(50, 3, 224, 224))
    assert visible.shape == (50, 90) and predicted.shape == (50, 8)
    for mine, theirs in zip(visible.tolist(), predicted.tolist()):
        assert mine == sorted(set(mine)) and len(set(theirs)) == 8 and not set(mine) & set(theirs)


def test_every_hidden_patch_is_predicted_now_and_then():
    random.seed(0)
    _, predicted = InverseBlockMasker(patch_size=8)(torch.zeros(1000, 3, 32, 32))
    counts = torch.bincount(predicted.flatten(), minlength=16)
    assert counts.sum() == 1000 and counts.min() > 30  # 62 on average


@pytest.mark.parametrize('grid', [(1, 1), (2, 8), (9, 2), (3, 3), (16, 16), (1, 7)])
def test_a_block_has_its_number_of_patches_on_every_grid(grid):
    rng = random.Random(0)
    for size in range(1, grid[0] * grid[1] + 1, 1 + grid[0] * grid[1] // 20):
        for roll in (False, True):
            assert np.count_nonzero(rolled_block(rng, grid, size, roll=roll)) == size


def test_parts_of_a_figure():
    parts = InverseBlockMasker(ratio=0.75, predicted=0.5, patch_size=8)(torch.zeros(2, 3, 32, 32))
    shown = InverseBlockMasker(ratio=0.75, predicted=0.5, patch_size=8).regions(torch.zeros(2, 3, 32, 32))
    assert [shown['visible'].sum(1).tolist(), shown['predicted'].sum(1).tolist()] == [[4, 4], [6, 6]]
    assert [part.shape[1] for part in parts] == [4, 6]


def test_an_image_without_hidden_patches_is_refused():
    with pytest.raises(ValueError, match='ratio=0.2 hides none of the 2 x 2 patches'):
        InverseBlockMasker(ratio=0.2, patch_size=8)(torch.zeros(1, 3, 16, 16))

"""Relative positions: the official index, and tables of another grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.interpolate import RectBivariateSpline
from timm.models.beit import gen_relative_position_index
from torch.testing import assert_close

from mmssl.models.layers.relative_positions import (
    CLS_ROWS,
    num_relative_positions,
    relative_index,
    resize_relative_table,
    square_grid,
)


def test_corner_of_the_specification():
    assert relative_index((14, 14))[:2, :2].tolist() == [[731, 729], [730, 364]]


@pytest.mark.parametrize('grid', [(14, 14), (3, 5), (1, 4)])
def test_index_is_timms(grid):
    assert torch.equal(relative_index(grid), gen_relative_position_index(grid))


def official(table: np.ndarray, old: int, new: int) -> np.ndarray:
    """Resizing as the official codes do it, on the function that SciPy's notes put in the place of ``interp2d``."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        if sum(q**i for i in range(old - 1)) > new - 1:
            high = q
        else:
            low = q
    distances = [sum(q**i for i in range(count)) for count in range(1, old)]
    known = [-d for d in reversed(distances)] + [0] + distances
    wanted = np.arange(1.0 - new, new)
    return RectBivariateSpline(known, known, table)(wanted, wanted)


@pytest.mark.parametrize(('old', 'new'), [(14, 24), (6, 7), (14, 32), (12, 14)])
def test_tables_grow_as_in_the_official_codes(old, new):
    table = torch.randn(num_relative_positions((old, old)) + CLS_ROWS, 2, dtype=torch.float64)
    resized = resize_relative_table(table, (old, old), (new, new))
    assert resized.shape == (num_relative_positions((new, new)) + CLS_ROWS, 2)
    assert torch.equal(resized[-CLS_ROWS:], table[-CLS_ROWS:])
    for head in range(2):
        expected = official(table[:-CLS_ROWS, head].view(2 * old - 1, -1).numpy(), old, new)
        assert_close(resized[:-CLS_ROWS, head], torch.from_numpy(expected).flatten(), rtol=0, atol=1e-6)


def test_a_smaller_table_is_the_middle_of_the_larger_one():
    distance = torch.arange(-13.0, 14).square()
    table = (distance[:, None] + 2 * distance).reshape(-1, 1)
    resized = resize_relative_table(table, (14, 14), (10, 10)).view(19, 19)
    middle = table.view(27, 27)[4:-4, 4:-4]
    assert_close(resized, middle, rtol=0, atol=0.2 * middle.max().item())
    assert resized[9, 9].abs() < 1e-4
    assert_close(resized, resized.flip(0, 1), rtol=0, atol=1e-4)


def test_axes_are_apart_and_the_own_grid_is_left_alone():
    table = torch.randn(num_relative_positions((3, 5)), 2)
    assert resize_relative_table(table, (3, 5), (3, 5)) is table
    wider = resize_relative_table(table, (3, 5), (3, 8)).view(5, 15, 2)
    assert_close(wider[:, 7], table.view(5, 9, 2)[:, 4])  # the same column
    assert resize_relative_table(table[:9], (1, 5), (2, 5)).shape == (27, 2)


def test_grid_of_a_table():
    assert square_grid(torch.zeros(732, 12), CLS_ROWS) == (14, 14)
    assert square_grid(torch.zeros(121, 4), 0) == (6, 6)
    with pytest.raises(ValueError, match='730 relative positions'):
        square_grid(torch.zeros(730, 12), CLS_ROWS)

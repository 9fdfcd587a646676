"""Sine-cosine positions, columns first, against the values of MAE's specification."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.positions import scaled_positions, sincos_positions


def test_columns_first_is_the_table_of_mae():
    table = sincos_positions((14, 14), 768, 'column', torch.float64)[0].double()
    assert table.shape == (197, 768) and not table[0].any()
    assert_close(table.sum().item(), 69594.494, rtol=0, atol=1e-3)
    expected = torch.tensor([0.841471, 0.815251], dtype=torch.float64)
    assert_close(table[2, :2], expected, rtol=0, atol=1e-6)
    assert_close(table[15, 384:386], expected, rtol=0, atol=1e-6)


def test_columns_first_is_rows_first_with_the_halves_exchanged():
    rows, columns = (sincos_positions((3, 5), 16, first, prefix=0)[0] for first in ('row', 'column'))
    assert torch.equal(rows.roll(8, dims=1), columns)


def test_scaled_positions_without_prefix():
    table = sincos_positions((4, 6), 8, prefix=0)
    scaled = scaled_positions(table, (8, 6), (4, 6), prefix=0)
    assert scaled.shape == (1, 48, 8)
    with_prefix = scaled_positions(torch.cat([torch.ones(1, 1, 8), table], dim=1), (8, 6), (4, 6))
    assert torch.equal(with_prefix[:, 1:], scaled) and torch.equal(with_prefix[:, 0], torch.ones(1, 8))


def test_wrong_arguments():
    with pytest.raises(ValueError, match='divisible by 4, got 6'):
        sincos_positions((2, 2), 6)
    with pytest.raises(ValueError, match="'row' or 'column', got 'x'"):
        sincos_positions((2, 2), 8, 'x')

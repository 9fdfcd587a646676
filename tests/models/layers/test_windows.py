from __future__ import annotations

import pytest
import torch

from mmssl.models.layers.windows import from_windows, to_windows


def test_windows_are_squares_of_neighbours_in_row_major_order():
    tokens = torch.arange(24.0).view(1, 4, 6, 1)
    windows = to_windows(tokens, 2)[..., 0]
    assert windows.shape == (6, 2, 2)
    assert windows[0].tolist() == [[0, 1], [6, 7]]
    assert windows[1].tolist() == [[2, 3], [8, 9]]
    assert windows[3].tolist() == [[12, 13], [18, 19]]


def test_padding_is_zeros_at_the_bottom_and_the_right():
    windows = to_windows(torch.ones(1, 3, 5, 1), 4)[..., 0]
    assert windows.shape == (2, 4, 4)
    assert windows.sum() == 15
    assert not windows[:, 3].any() and not windows[1, :, 1:].any()


@pytest.mark.parametrize(('grid', 'size'), [((4, 6), 2), ((3, 5), 4), ((7, 7), 14), ((5, 9), 5)])
def test_windows_come_back_to_their_places(grid, size):
    tokens = torch.randn(2, *grid, 3)
    assert torch.equal(from_windows(to_windows(tokens, size), grid), tokens)

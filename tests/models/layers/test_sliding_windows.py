from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.sliding_windows import SlidingWindows

COARSE, FINE = SlidingWindows(48, 32), SlidingWindows(32, 24)


@pytest.mark.parametrize(
    ('windows', 'size', 'number'), [(COARSE, 224, 36), (FINE, 224, 64), (COARSE, 96, 4), (FINE, 96, 9)]
)
def test_numbers_of_the_official_grid(windows, size, number):
    boxes = windows.boxes(size)
    assert boxes.shape == (number, 4)
    assert boxes[1].tolist() == [windows.stride, 0, windows.stride + windows.side, windows.side]  # row by row
    assert (boxes[:, 2:] < size).all()


def test_equal_crops_have_equal_regions_and_crops_apart_have_none():
    one, other = [7.0, 3, 111, 97, 0], [300.0, 3, 111, 97, 0]
    boxes, inside = COARSE.map(224, torch.tensor([[one, one], [one, other]]))
    assert inside[0].all() and not inside[1].any()
    assert_close(boxes[0], COARSE.boxes(224))
    assert (boxes[1] == torch.tensor([0, 0, 1, 1])).all()


def test_a_flip_of_one_view_alone_mirrors_the_regions():
    crop = torch.tensor([[[0.0, 0, 50, 50, 0], [0.0, 0, 50, 50, 1]]])
    boxes, inside = SlidingWindows(10, 10).map(50, crop)  # windows end at 40, their mirror images begin at 10
    assert boxes[0, 0].tolist() == pytest.approx([40, 0, 50, 10]) or not inside[0, 0]
    assert boxes[0, 1].tolist() == pytest.approx([30, 0, 40, 10])


def test_views_without_room_and_wrong_arguments():
    with pytest.raises(ValueError, match='a view of 48 pixels is too small for windows of 48 pixels'):
        COARSE.boxes(48)
    with pytest.raises(ValueError, match="bank must be 'global' or 'process', got 'all'"):
        SlidingWindows(8, 4, bank='all')
    with pytest.raises(ValueError, match='at least 1 pixel'):
        SlidingWindows(8, 0)

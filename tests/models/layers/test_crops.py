from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.layers.crops import map_points

POINTS = torch.rand(1, 5, 2)
# left, top, width, height, flipped
WHOLE, QUARTER, FLIPPED = (0.0, 0, 40, 20, 0), (20.0, 10, 20, 10, 0), (0.0, 0, 40, 20, 1)


def _map(points, source, target):
    return map_points(points, torch.tensor([source]), torch.tensor([target]))


def test_a_crop_maps_to_itself():
    assert_close(_map(POINTS, QUARTER, QUARTER), POINTS)


def test_places_of_a_quarter_in_the_whole_image_and_back():
    assert_close(_map(POINTS, QUARTER, WHOLE), 0.5 + 0.5 * POINTS)
    assert_close(_map(0.5 + 0.5 * POINTS, WHOLE, QUARTER), POINTS)
    outside = _map(torch.tensor([[[0.25, 0.75]]]), WHOLE, QUARTER)
    assert_close(outside, torch.tensor([[[-0.5, 0.5]]]))


def test_a_flip_exchanges_left_and_right():
    assert_close(_map(POINTS, WHOLE, FLIPPED), POINTS * torch.tensor([-1, 1]) + torch.tensor([1, 0]))
    assert_close(_map(_map(POINTS, FLIPPED, QUARTER), QUARTER, FLIPPED), POINTS)

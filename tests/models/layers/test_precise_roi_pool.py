from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate
from torch.testing import assert_close

from mmssl.models.layers.precise_roi_pool import precise_roi_pool

MAPS = torch.randn(2, 3, 6, 7, dtype=torch.float64)


def _box(*corners):
    return torch.tensor([[corners]] * 2, dtype=torch.float64)


def test_a_constant_inside_the_map_is_kept_and_a_box_without_area_is_zero():
    pooled = precise_roi_pool(torch.full_like(MAPS, 3.0), _box(0.25, 1.5, 4.0, 4.75), (2, 3))
    assert_close(pooled, torch.full((2, 1, 3, 2, 3), 3.0, dtype=torch.float64))
    for box in (_box(2.0, 1, 2.0, 4), _box(3.0, 3, 3.0, 3), _box(4.0, 1, 2.0, 3)):
        assert (precise_roi_pool(MAPS, box) == 0).all()


def test_it_is_the_integral_of_the_interpolated_map():
    fine = 200  # samples of a cell
    field = interpolate(MAPS, (5 * fine + 1, 6 * fine + 1), mode='bilinear', align_corners=True)
    centres = (field[..., 1:, 1:] + field[..., :-1, :-1] + field[..., 1:, :-1] + field[..., :-1, 1:]) / 4
    expected = centres[..., 1 * fine : int(3.5 * fine), int(0.5 * fine) : 6 * fine].mean(dim=(2, 3))
    assert_close(precise_roi_pool(MAPS, _box(0.5, 1.0, 6.0, 3.5)).flatten(1), expected, rtol=1e-4, atol=1e-4)


def test_bins_are_boxes_of_their_own():
    whole = precise_roi_pool(MAPS, _box(1.0, 0.5, 5.0, 4.5), (2, 2))
    assert_close(whole[..., 1, 0], precise_roi_pool(MAPS, _box(1.0, 2.5, 3.0, 4.5))[..., 0, 0])


def test_gradients_of_maps_and_boxes():
    maps = MAPS.clone().requires_grad_()
    boxes = _box(0.3, 1.2, 4.6, 3.7).requires_grad_()
    assert torch.autograd.gradcheck(lambda m, b: precise_roi_pool(m, b, (2, 1)), (maps, boxes))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float32])
def test_half_precision_is_widened(dtype):
    assert precise_roi_pool(MAPS.to(dtype), _box(1.0, 1, 3, 3)).dtype == torch.float32

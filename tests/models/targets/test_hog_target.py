"""Histograms of oriented gradients: the specification's values, and what must and must not change them."""

from __future__ import annotations

import math

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import unpatchify
from mmssl.models.targets.hog_target import HOGTarget, hog


def ramp(along: str) -> torch.Tensor:
    steps = torch.arange(224, dtype=torch.float64) / 224
    image = steps.expand(224, 224) if along == 'x' else steps.unsqueeze(1).expand(224, 224)
    return image.expand(1, 3, 224, 224)


@pytest.mark.parametrize(('along', 'bin_of_ramp'), [('x', 4), ('y', 0)])
def test_a_ramp_falls_into_one_bin(along, bin_of_ramp):
    interior = hog(ramp(along))[0, 1, :, 10, 17]
    expected = torch.zeros(9, dtype=torch.float64)
    expected[bin_of_ramp] = 1
    assert_close(interior, expected)


def test_sum_of_the_specification():
    images = torch.sin(0.013 * torch.arange(3 * 224 * 224, dtype=torch.float64)).view(1, 3, 224, 224)
    assert_close(hog(images).sum().item(), 2352.172, rtol=0, atol=5e-4)


def test_target_has_a_unit_vector_per_cell_and_channel():
    target = HOGTarget()(torch.randn(2, 3, 224, 224))
    assert target.shape == (2, 196, 108)
    assert_close(target.square().sum(dim=2), torch.full((2, 196), 12.0))


def test_order_within_a_patch():
    images = torch.randn(2, 3, 48, 32)
    histograms, target = hog(images), HOGTarget()(images).view(2, 3, 2, 27, 2, 2)
    for row, column in ((0, 0), (2, 1)):
        cells = histograms[:, :, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2].flatten(1, 2)
        assert torch.equal(target[:, row, column], cells)


def test_a_plain_image_has_a_target_of_zero():
    assert not HOGTarget()(torch.full((1, 3, 32, 32), 0.7)).any()


def test_brightness_and_contrast_are_left_out():
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert_close(hog(3 * images + 1), hog(images))
    assert_close(hog(-images), hog(images))  # opposite directions share a bin


def test_autocast_changes_nothing():
    images = torch.randn(2, 3, 32, 32)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        mixed = HOGTarget()(images)
    assert mixed.dtype == torch.float32 and torch.equal(mixed, HOGTarget()(images))
    assert HOGTarget()(images.bfloat16()).dtype == torch.float32


def test_a_patch_is_made_of_whole_cells():
    with pytest.raises(ValueError, match='multiple of cell_size=8, got 12'):
        HOGTarget(12)


def test_strokes_run_along_edges():
    """Images of one edge each, at right angles to their gradient: the brightest pixels of the glyph lie on it."""
    place = torch.arange(16) - 7.5
    for angle in (0.1, 0.9, 1.7, 2.6):  # of the gradient, from the y axis
        ramp = place * math.sin(angle) + place.view(-1, 1) * math.cos(angle)
        images = (3 * ramp).tanh().expand(1, 3, 16, 16)
        target = HOGTarget(16, num_bins=36, cell_size=16)
        glyph = unpatchify(target.to_pixels(target(images), images), 16, (1, 1))[0, 0]
        on_edge = ramp.abs() < 0.6
        assert glyph[on_edge].mean() > 0 > glyph[~on_edge].mean()


def test_glyphs_are_drawn_in_their_cell_and_channel():
    target = HOGTarget(8, num_bins=9, cell_size=4)
    histograms = torch.zeros(1, 2, 3, 9, 2, 2)
    histograms[0, 1, 2, 4, 0, 1] = 1  # second patch, third channel, upper right cell, gradients along x
    drawn = unpatchify(target.to_pixels(histograms.flatten(2), torch.empty(0)), 8, (1, 2))
    assert (drawn > -2).nonzero()[:, 1].unique().tolist() == [2]
    expected = torch.full((8, 16), -2.0)
    expected[0:4, 13:15] = 0  # the stroke is in the middle of columns 13 and 14, half of it in each
    assert_close(drawn[0, 2], expected)
    assert (target.to_pixels(-histograms.flatten(2), torch.empty(0)) == -2).all()


@pytest.mark.parametrize('side', [40, 44])
def test_images_of_incomplete_patches_are_refused(side):
    with pytest.raises(ValueError, match=f'multiples of patch_size=16, got {side} x {side} pixels'):
        HOGTarget()(torch.randn(1, 3, side, side))

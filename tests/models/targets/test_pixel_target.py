"""Pixels of patches, standardised and back."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import patchify
from mmssl.models.targets.pixel_target import PixelTarget


def test_patches_are_standardised_one_by_one():
    images = 5 + 3 * torch.randn(2, 3, 16, 16, dtype=torch.float64)
    target = PixelTarget(patch_size=8)(images)
    assert target.shape == (2, 4, 192)
    assert_close(target.mean(dim=-1), torch.zeros(2, 4, dtype=torch.float64), rtol=0, atol=1e-12)
    assert_close(target.var(dim=-1), torch.ones(2, 4, dtype=torch.float64), rtol=1e-6, atol=0)
    assert_close(PixelTarget(8)(2 * images + 1), target, rtol=1e-5, atol=0)  # but for eps


def test_a_patch_of_one_colour_is_zero():
    assert not PixelTarget(8)(torch.ones(1, 3, 8, 8)).any()


def test_plain_pixels_are_the_patches():
    images = torch.randn(1, 3, 16, 16)
    assert torch.equal(PixelTarget(8, standardize=False)(images), patchify(images, 8))


def test_a_target_is_turned_back_into_pixels():
    images = torch.randn(2, 3, 16, 16, dtype=torch.float64)
    for target in (PixelTarget(8), PixelTarget(8, standardize=False)):
        assert_close(target.to_pixels(target(images), images), patchify(images, 8))

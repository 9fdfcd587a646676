"""CenterCropView against torchvision's Resize and CenterCrop."""

import numpy as np
import pytest
import torch
from torchvision.transforms import v2

from mmssl.datasets.transforms.center_crop_view import CenterCropView


@pytest.mark.parametrize('shape', [(375, 500), (501, 333), (300, 301), (40, 90)])
@pytest.mark.parametrize(('size', 'short'), [(224, 256), (32, 33), (30, 30)])
def test_equals_torchvision(shape: tuple[int, int], size: int, short: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    theirs = v2.CenterCrop(size)(v2.Resize(short, antialias=True)(torch.from_numpy(image).permute(2, 0, 1)))
    ours = CenterCropView(size=size, resize=short)(image)
    assert ours.shape == (3, size, size)
    assert (ours.int() - theirs.int()).abs().max() <= 1


def test_image_of_the_right_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(CenterCropView(32)(image).permute(1, 2, 0), image)


def test_crop_larger_than_the_image() -> None:
    with pytest.raises(ValueError, match='size 224 and resize 200'):
        CenterCropView(size=224, resize=200)


@pytest.mark.parametrize('shape', [(1, 60_000, 3), (60_000, 1, 3)])
def test_a_long_image_costs_no_memory(shape: tuple[int, ...]) -> None:
    image = np.zeros(shape, np.uint8)  # in full it would become 256 x 15,360,000 pixels
    image.reshape(-1, 3)[29_990:30_010] = 255
    view = CenterCropView(224, resize=256)(image)
    assert view.shape == (3, 224, 224) and view.float().mean() == 255

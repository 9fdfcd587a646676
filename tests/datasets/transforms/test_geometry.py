"""Crop and resize against torchvision and Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.data import astronaut
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as reference

from mmssl.datasets.transforms.geometry import (
    check_interpolation,
    draw_clamped_crop,
    draw_crop,
    draw_distorted_crop,
    resize,
)

RATIO = (3 / 4, 4 / 3)


def crops(height: int, width: int, scale: tuple[float, float], num: int = 2000) -> np.ndarray:
    draw = np.random.default_rng(0).random
    return np.array([draw_crop(draw, height, width, scale, RATIO) for _ in range(num)])


@pytest.mark.parametrize(('crop', 'last'), [(draw_crop, 5), (draw_clamped_crop, 5), (draw_distorted_crop, 4)])
def test_the_last_position_of_a_crop(crop, last: int) -> None:
    options = dict(scale=(0.25, 0.25), ratio=(1.0, 1.0))
    assert crop(lambda: 1 - 1e-9, 10, 10, **options) == (last, last, 5, 5)
    assert crop(lambda: 0.0, 10, 10, **options) == (0, 0, 5, 5)


def test_crops_lie_in_the_image_and_have_the_area_and_ratio_asked_for() -> None:
    top, left, height, width = crops(375, 500, (0.2, 0.6)).T
    assert top.min() >= 0 and left.min() >= 0 and (top + height).max() <= 375 and (left + width).max() <= 500
    area, ratio = height * width / (375 * 500), width / height
    assert 0.195 < area.min() < 0.21 and 0.59 < area.max() < 0.605
    assert 0.74 < ratio.min() < 0.76 and 1.31 < ratio.max() < 1.35
    assert abs(area.mean() - 0.4) < 0.01 and abs(np.log(ratio).mean()) < 0.01


def test_distribution_is_that_of_torchvision() -> None:
    ours = crops(60, 90, (0.08, 1.0), 4000).mean(axis=0)
    image = torch.empty(3, 60, 90)
    transform = v2.RandomResizedCrop(8, scale=(0.08, 1.0), ratio=RATIO)
    theirs = [transform.make_params([image]) for _ in range(4000)]
    theirs = np.array([[params[key] for key in ('top', 'left', 'height', 'width')] for params in theirs]).mean(axis=0)
    np.testing.assert_allclose(ours, theirs, atol=1.5)  # pixels; five standard errors


@pytest.mark.parametrize(
    ('size', 'expected'),
    [((10, 200), (0, 93, 10, 13)), ((200, 10), (93, 0, 13, 10)), ((90, 100), (0, 0, 90, 100))],
)
def test_where_no_attempt_fits_the_central_rectangle_is_taken(size: tuple[int, int], expected: tuple) -> None:
    draws = iter([0.999, 0.999] * 10)  # the whole area, at the widest ratio
    if size[0] > size[1]:
        draws = iter([0.999, 0.001] * 10)
    assert draw_crop(draws.__next__, *size, (0.99, 1.0), RATIO) == expected


@pytest.mark.parametrize(
    ('size', 'ratio', 'expected'), [((9, 1), (3, 4), (4, 0, 1, 1)), ((1, 9), (0.2, 0.3), (0, 4, 1, 1))]
)
def test_a_crop_has_at_least_one_pixel(size: tuple[int, int], ratio: tuple[float, float], expected: tuple) -> None:
    assert draw_crop(lambda: 0.5, *size, (1.0, 1.0), ratio) == expected


def test_a_clamped_crop_is_cut_and_never_drawn_again() -> None:
    draws = iter([1.0, 1.0, 0.0, 0.999])  # the whole area at the widest ratio: 346 x 462 of an image 375 wide
    assert draw_clamped_crop(draws.__next__, 400, 400, (0.08, 1.0), RATIO) == (0, 0, 346, 400)
    draw = np.random.default_rng(0).random
    boxes = np.array([draw_clamped_crop(draw, 300, 500, (0.5, 1.0), RATIO) for _ in range(99)])
    assert (boxes[:, 0] + boxes[:, 2]).max() <= 300 and (boxes[:, 1] + boxes[:, 3]).max() <= 500
    assert (boxes[:, 2] == 300).any() and (boxes[:, 2] * boxes[:, 3]).min() > 0.48 * 300 * 400


def test_a_distorted_crop_is_drawn_by_its_height() -> None:
    draws = iter([0.25, 0.5, 0.0, 0.999])
    # ratio 0.75 + 0.25 (4/3 - 0.75); heights from that of 8 % of the area to that of the whole, 375
    aspect = 0.75 + 0.25 * (4 / 3 - 0.75)
    low = round((0.08 * 375 * 500 / aspect) ** 0.5)
    height = low + (375 - low + 1) // 2
    width = round(height * aspect)
    expected = (0, int(0.999 * (500 - width)), height, width)
    assert draw_distorted_crop(draws.__next__, 375, 500, (0.08, 1.0), RATIO) == expected


def test_distorted_crops_are_smaller_and_cover_a_tenth() -> None:
    draw = np.random.default_rng(0).random
    boxes = np.array([draw_distorted_crop(draw, 375, 500, (0.08, 1.0), RATIO) for _ in range(4000)])
    top, left, height, width = boxes.T
    assert (top + height).max() <= 375 and (left + width).max() <= 500
    area, ratio = height * width / (375 * 500), width / height
    assert area.min() >= 0.1 and abs(area.mean() - 0.388) < 0.015 and abs((area < 0.2).mean() - 0.24) < 0.03
    assert abs(ratio.mean() - (3 / 4 + 4 / 3) / 2) < 0.02  # uniform, where torchvision's logarithm is
    never = iter(lambda: 0.0, None)  # the smallest height of the narrowest ratio covers less than a tenth, every time
    assert draw_distorted_crop(never.__next__, 375, 500, (0.08, 1.0), RATIO) == (0, 0, 375, 500)


@pytest.mark.parametrize('size', [(7, 5), (40, 31)])
def test_tensorflows_bicubic_has_four_taps_of_keys_cubic(size: tuple[int, int]) -> None:
    image = astronaut()[:20, :16]
    expected = np.zeros((*size, 3))
    for row in range(size[0]):
        for column in range(size[1]):
            y, x = (row + 0.5) * 20 / size[0] - 0.5, (column + 0.5) * 16 / size[1] - 0.5
            total, weights = 0.0, 0.0
            for i in range(int(np.floor(y)) - 1, int(np.floor(y)) + 3):
                for j in range(int(np.floor(x)) - 1, int(np.floor(x)) + 3):
                    if 0 <= i < 20 and 0 <= j < 16:
                        weight = keys(abs(y - i)) * keys(abs(x - j))
                        total, weights = total + weight * image[i, j].astype(float), weights + weight
            expected[row, column] = total / weights
    found = resize(image, *size, 'bicubic-aliased').permute(1, 2, 0).numpy()
    assert np.abs(found - expected.clip(0, 255)).max() <= 0.5 + 1e-3


def keys(distance: float) -> float:
    """Keys' cubic kernel with a = -1/2."""
    if distance <= 1:
        return 1.5 * distance**3 - 2.5 * distance**2 + 1
    return -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2 if distance < 2 else 0.0


@pytest.mark.parametrize('interpolation', ['bilinear', 'bicubic'])
@pytest.mark.parametrize('size', [(224, 224), (600, 550), (511, 100)])
def test_resize_is_antialiased_like_pillow_and_torchvision(interpolation: str, size: tuple[int, int]) -> None:
    image = astronaut()[10:500, 20:510]  # a slice, not contiguous
    resized = resize(image, *size, interpolation)
    mode = getattr(v2.InterpolationMode, interpolation.upper())
    theirs = reference.resize(torch.from_numpy(image.copy()).permute(2, 0, 1), size, mode, antialias=True)
    assert (resized.int() - theirs.int()).abs().max() <= 1
    pillow = Image.fromarray(image).resize(size[::-1], getattr(Image.Resampling, interpolation.upper()))
    assert np.abs(resized.permute(1, 2, 0).int().numpy() - np.asarray(pillow)).max() <= 1


@pytest.mark.parametrize('size', [(224, 224), (600, 550), (511, 100)])
def test_lanczos_is_the_windowed_sinc_of_three_lobes(size: tuple[int, int]) -> None:
    image = astronaut()[10:500, 20:510]
    rows, columns = (lanczos_matrix(old, new) for old, new in zip(image.shape[:2], size))
    expected = np.einsum('jw,hwc->hjc', columns, image.astype(float)).round().clip(0, 255)  # bytes in between
    expected = np.einsum('ih,hjc->cij', rows, expected).round().clip(0, 255)
    found = resize(image, *size, 'lanczos').numpy()
    assert np.abs(found - expected).max() <= 2
    assert np.abs(found - expected).mean() < 0.1


def lanczos_matrix(old: int, new: int) -> np.ndarray:
    """(new, old): how much each pixel of a line weighs in each pixel of the resized one."""
    stretch = max(old / new, 1)
    centers = (np.arange(new) + 0.5) * old / new
    x = (np.arange(old) + 0.5 - centers[:, None]) / stretch
    weights = np.where(abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
    return weights / weights.sum(axis=1, keepdims=True)


def test_same_size_is_left_alone() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resize(image, 5, 7, 'bicubic').permute(1, 2, 0), image)


def test_unknown_interpolation() -> None:
    with pytest.raises(ValueError, match="'bilinear', 'bicubic', 'lanczos'.*got 'nearest'"):
        check_interpolation('nearest')

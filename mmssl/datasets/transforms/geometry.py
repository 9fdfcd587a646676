"""Crop and resize, with torchvision's rules and Pillow's antialiased filters, or as TensorFlow does."""

from __future__ import annotations

import math
from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

INTERPOLATIONS = ('bilinear', 'bicubic', 'lanczos', 'bicubic-aliased')
CROP_ATTEMPTS = 10
MAX_ASPECT = 16  # beyond this, resizing the shorter side of an image would take gigabytes
BOX_ATTEMPTS = 100
_MIN_COVERED = 0.1  # share of the image that TensorFlow's crop must cover, even if the smallest area is lower


def check_interpolation(interpolation: str) -> str:
    """Returns ``interpolation`` if it is one of ``INTERPOLATIONS``.

    Raises:
        ValueError: It is unknown.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f'interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}')
    return interpolation


def check_size(size: Any, name: str = 'size') -> int:
    """Returns ``size`` if it is a side in pixels.

    Raises:
        ValueError: It is not a whole number of at least 1; two sides are not accepted, because views are squares.
    """
    if not isinstance(size, Integral) or isinstance(size, bool) or size < 1:
        raise ValueError(f'{name} must be one whole number of at least 1 pixel, the side of a square, got {size!r}')
    return int(size)


def draw_crop(
    draw: Callable[[], float], height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Draws a rectangle like torchvision's ``RandomResizedCrop``.

    The area is uniform in ``scale`` and the aspect ratio log-uniform in ``ratio``. If ten attempts do not fit into the
    image, the largest central rectangle with an allowed ratio is returned, of at least one pixel.

    Args:
        draw: Function that returns a number uniform in [0, 1).
        height: Height of the image in pixels.
        width: Width of the image in pixels.
        scale: Smallest and largest area as a fraction of the image's area.
        ratio: Smallest and largest width / height.

    Returns:
        Top, left, height and width in pixels.
    """
    for _ in range(CROP_ATTEMPTS):
        area = height * width * (scale[0] + draw() * (scale[1] - scale[0]))
        aspect = ratio[0] * (ratio[1] / ratio[0]) ** draw()
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if 0 < h <= height and 0 < w <= width:
            return int(draw() * (height - h + 1)), int(draw() * (width - w + 1)), h, w
    h = min(height, max(round(width / ratio[0]), 1))
    w = min(width, max(round(height * ratio[1]), 1))
    return (height - h) // 2, (width - w) // 2, h, w


def draw_clamped_crop(
    draw: Callable[[], float], height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Draws a rectangle like the official code of BYOL and of MAE's linear probe.

    The draw is that of ``draw_crop``, but there is one attempt, whose height and width are cut to those of the image.
    For arguments and result see ``draw_crop``.
    """
    area = height * width * (scale[0] + draw() * (scale[1] - scale[0]))
    aspect = ratio[0] * (ratio[1] / ratio[0]) ** draw()
    h, w = min(height, round(math.sqrt(area / aspect))), min(width, round(math.sqrt(area * aspect)))
    h, w = max(h, 1), max(w, 1)
    return int(draw() * (height - h + 1)), int(draw() * (width - w + 1)), h, w


def draw_distorted_crop(
    draw: Callable[[], float], height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Draws a rectangle like TensorFlow's ``sample_distorted_bounding_box`` with the whole image as box (SimCLR).

    The aspect ratio is uniform in ``ratio``. The height is uniform between the heights of the smallest and the largest
    area that fits, so small crops are more likely than with ``draw_crop``. A crop must cover a tenth of the image;
    after a hundred attempts the whole image is returned. As in TensorFlow, the last possible row and column of
    positions are never drawn. For arguments and result see ``draw_crop``.
    """
    smallest, largest = (share * height * width for share in scale)
    for _ in range(BOX_ATTEMPTS):
        aspect = ratio[0] + draw() * (ratio[1] - ratio[0])
        tallest = round(math.sqrt(largest / aspect))
        if round(tallest * aspect) > width:
            tallest = int((width + 0.5 - 1e-7) / aspect)
            tallest -= round(tallest * aspect) > width
        tallest = min(tallest, height)
        h = min(round(math.sqrt(smallest / aspect)), tallest)
        h += int(draw() * (tallest - h + 1))
        h += round(h * aspect) * h < smallest  # rounding can push the area just outside [smallest, largest]
        h -= round(h * aspect) * h > largest
        w = round(h * aspect)
        fits = 0 < h <= height and 0 < w <= width and smallest <= h * w <= largest
        top, left = int(draw() * (height - h)), int(draw() * (width - w))
        if fits and h * w >= _MIN_COVERED * height * width:
            return top, left, h, w
    return 0, 0, height, width


CROPS = dict(torchvision=draw_crop, clamped=draw_clamped_crop, distorted=draw_distorted_crop)


def _aliased_bicubic(image: np.ndarray, height: int, width: int) -> Tensor:
    """Resizes like ``tf.image.resize`` with method bicubic and no antialiasing: four taps per axis at every scale.

    ``embedding_bag`` sums rows of a matrix with weights in one pass, without copies of the rows.
    """
    rows, row_taps, row_weights = _taps(image.shape[0], height)
    columns, column_taps, column_weights = _taps(image.shape[1], width)
    pixels = torch.from_numpy(np.ascontiguousarray(image)).index_select(0, rows)
    pixels = pixels.transpose(0, 1).flatten(1).index_select(0, columns).float()
    pixels = F.embedding_bag(column_taps, pixels, per_sample_weights=column_weights, mode='sum')
    pixels = pixels.view(width, len(rows), -1).transpose(0, 1).flatten(1)
    pixels = F.embedding_bag(row_taps, pixels, per_sample_weights=row_weights, mode='sum')
    return pixels.round_().clamp_(0, 255).to(torch.uint8).view(height, width, -1).permute(2, 0, 1)


def _taps(size: int, new_size: int) -> tuple[Tensor, Tensor, Tensor]:
    """Returns the taps of Keys' cubic with a = -1/2, for each of ``new_size`` pixels.

    Returns:
        Those of ``size`` pixels that any tap needs, int64 in ascending order; index of each tap among them, int64
        (new_size, 4); and its weight, float32 (new_size, 4), 0 outside the image.
    """
    places = (torch.arange(new_size, dtype=torch.float64) + 0.5) * size / new_size - 0.5
    taps = places.floor()[:, None] + torch.arange(-1, 3)
    distance = (places[:, None] - taps).abs()
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    weights = torch.where(distance <= 1, near, far) * ((taps >= 0) & (taps < size))
    needed, indices = taps.clamp(0, size - 1).long().unique(return_inverse=True)
    return needed, indices, (weights / weights.sum(dim=1, keepdim=True)).float()


def _resize_deep(pixels: Tensor, height: int, width: int, interpolation: str) -> Tensor:
    """Resizes samples of 16 bits (1, C, H, W) in floating point and rounds them to 16 bits."""
    if interpolation not in ('bilinear', 'bicubic'):
        raise ValueError(f"samples of 16 bits are resized by 'bilinear' or 'bicubic', got {interpolation!r}")
    resized = F.interpolate(pixels.float(), (height, width), mode=interpolation, antialias=True)[0]
    return resized.round_().clamp_(0, 65535).to(torch.uint16)


def resize(image: np.ndarray, height: int, width: int, interpolation: str) -> Tensor:
    """Resizes an image of bytes with an antialiased filter, or with TensorFlow's aliased bicubic.

    The antialiased filters equal those of Pillow and torchvision up to the rounding of fixed-point arithmetic (at most
    one level).

    Args:
        image: uint8 (H, W, C), or uint16 for images with bands; may be a slice of a larger array.
        height: Height of the result in pixels.
        width: Width of the result in pixels.
        interpolation: ``'bilinear'``, ``'bicubic'``, ``'lanczos'`` (three lobes), or ``'bicubic-aliased'``,
            TensorFlow's bicubic without antialiasing.

    Returns:
        uint8 (C, height, width) in channels-last memory; uint16 for samples of 16 bits.
    """
    # Add the batch dimension before permuting: its stride marks the memory as channels last, so F.interpolate filters
    # the bytes without a copy and returns channels-last memory.
    pixels = torch.from_numpy(np.ascontiguousarray(image))[None].permute(0, 3, 1, 2)
    if pixels.shape[2:] == (height, width):
        return pixels[0]
    if pixels.dtype != torch.uint8:
        return _resize_deep(pixels, height, width, interpolation)
    if interpolation == 'bicubic-aliased':
        return _aliased_bicubic(image, height, width)
    if interpolation == 'lanczos':  # F.interpolate only has it in the newest releases of torch
        resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
    return F.interpolate(pixels, (height, width), mode=interpolation, antialias=True)[0]

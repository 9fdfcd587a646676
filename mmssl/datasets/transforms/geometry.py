"""Crop and resize, with torchvision's rules and Pillow's antialiased filters."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

INTERPOLATIONS = ('bilinear', 'bicubic', 'lanczos')
CROP_ATTEMPTS = 10


def check_interpolation(interpolation: str) -> str:
    """Returns ``interpolation`` if it is one of ``INTERPOLATIONS``.

    Raises:
        ValueError: It is not.
    """
    if interpolation not in INTERPOLATIONS:
        raise ValueError(f'interpolation must be one of {INTERPOLATIONS}, got {interpolation!r}')
    return interpolation


def draw_crop(
    draw: Callable[[], float], height: int, width: int, scale: tuple[float, float], ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Draws a rectangle as torchvision's ``RandomResizedCrop`` does.

    Ten attempts with an area uniform in ``scale`` and an aspect ratio log-uniform in ``ratio``; then the largest
    central rectangle whose ratio is allowed.

    Args:
        draw: Returns a number uniform in [0, 1) at each call.
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        scale: Smallest and largest area, as a fraction of the image's.
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
    h = min(height, round(width / ratio[0]))
    w = min(width, round(height * ratio[1]))
    return (height - h) // 2, (width - w) // 2, h, w


def resize(image: np.ndarray, height: int, width: int, interpolation: str) -> Tensor:
    """Resizes with a filter that widens when the image shrinks, on bytes.

    Equal to Pillow's and torchvision's antialiased filters but for the rounding of their fixed-point arithmetic (at
    most one level).

    Args:
        image: uint8 (H, W, 3); a slice of a larger array is fine.
        height: Of the result, in pixels.
        width: Of the result, in pixels.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'`` (three lobes).

    Returns:
        uint8 (3, height, width), stored pixel by pixel (channels last).
    """
    # The batch dimension is added first, so that its stride marks the memory as channels last: torch then filters the
    # bytes where they are, and only so returns them in that order.
    pixels = torch.from_numpy(np.ascontiguousarray(image))[None].permute(0, 3, 1, 2)
    if pixels.shape[2:] == (height, width):
        return pixels[0]
    if interpolation == 'lanczos':  # of torch's releases only the newest have it
        resized = Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.LANCZOS)
        return torch.from_numpy(np.array(resized)).permute(2, 0, 1)
    return F.interpolate(pixels, (height, width), mode=interpolation, antialias=True)[0]

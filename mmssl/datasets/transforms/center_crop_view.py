"""The view without randomness, for evaluation and for teachers that see images without augmentation."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import DrawnView
from mmssl.datasets.transforms.geometry import MAX_ASPECT, check_interpolation, check_size, resize
from mmssl.datasets.transforms.photometric_program import CODES, NUM_STEPS
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CenterCropView:
    """Resizes the shorter side to ``resize``, then crops the central square of ``size`` (usually 256 and 224).

    An image whose longer side is more than 16 times the shorter one is first cropped to its central part, because a
    1 x 60000 image would otherwise be resized to 256 x 15360000 pixels. The view can also stand in ``views`` for
    training, as a view without randomness.

    Args:
        size: Side of the view in pixels.
        resize: Shorter side before the crop in pixels, at least ``size``; None means ``size``.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased, or ``'bicubic-aliased'``.

    Raises:
        ValueError: ``size`` is not positive or larger than ``resize``, or ``interpolation`` is unknown.
    """

    def __init__(self, size: int, resize: int | None = None, interpolation: str = 'bilinear') -> None:
        self.size = check_size(size)
        self.resize = size if resize is None else check_size(resize, 'resize')
        self.interpolation = check_interpolation(interpolation)
        if size > self.resize:
            raise ValueError(f'size must be at most resize, got size {size} and resize {self.resize}')

    def __call__(self, image: np.ndarray) -> Tensor:
        """Returns the view of ``image``, uint8 (H, W, 3): uint8 (3, size, size)."""
        short = min(image.shape[:2])
        image = _central(_central(image, 0, MAX_ASPECT * short), 1, MAX_ASPECT * short)
        height, width = image.shape[:2]
        height, width = (self.resize * side // short for side in (height, width))
        scaled = resize(image, height, width, self.interpolation)
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        return scaled[:, top : top + self.size, left : left + self.size]

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: object = None) -> DrawnView:
        """Returns a draw without randomness, so that the view can stand in ``views``.

        Args:
            shape: Height and width of the image in pixels.
            rng: Generator; not used here.
            previous: Draw of the previous view in ``views``; not used here.
        """
        return DrawnView((0, 0, shape[0], shape[1]), False, torch.tensor([(CODES['none'], 0.0)] * NUM_STEPS))

    def render(self, image: np.ndarray, drawn: DrawnView) -> Tensor:
        """Returns the view of ``image``, uint8 (H, W, 3): uint8 (3, size, size)."""
        return self(image)


def _central(image: np.ndarray, axis: int, length: int) -> np.ndarray:
    start = max(image.shape[axis] - length, 0) // 2
    return image[start : start + length] if axis == 0 else image[:, start : start + length]

"""The one plain view of evaluation."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmssl.datasets.transforms.geometry import check_interpolation, resize
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class CenterCropView:
    """Shorter side to ``resize``, then the central ``size`` x ``size`` pixels: 256 and 224 in the usual protocol.

    Args:
        size: Side of the view, in pixels.
        resize: Shorter side before the crop, in pixels, at least ``size``; None means ``size``.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased.
    """

    def __init__(self, size: int, resize: int | None = None, interpolation: str = 'bilinear') -> None:
        self.size = size
        self.resize = size if resize is None else resize
        self.interpolation = check_interpolation(interpolation)
        if not 0 < size <= self.resize:
            raise ValueError(f'size must be positive and at most resize, got size {size} and resize {self.resize}')

    def __call__(self, image: np.ndarray) -> Tensor:
        """Returns uint8 (3, size, size) of ``image``, uint8 (H, W, 3)."""
        height, width = image.shape[:2]
        short = min(height, width)
        height, width = (self.resize * side // short for side in (height, width))
        scaled = resize(image, height, width, self.interpolation)
        top, left = round((height - self.size) / 2), round((width - self.size) / 2)
        return scaled[:, top : top + self.size, left : left + self.size]

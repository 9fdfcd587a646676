"""The whole image as a square."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmssl.datasets.transforms.geometry import check_interpolation, resize
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SquareView:
    """Shorter side to ``resize``, then the whole to ``size`` x ``size``: nothing is cut off, proportions change.

    So the SVM benchmark on VOC2007 prepares images (Goyal et al., 2019, arXiv:1905.01235, as VISSL does).

    Args:
        size: Side of the view, in pixels.
        resize: Shorter side of the step between, in pixels; None leaves that step out.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased.

    Raises:
        ValueError: A size is not positive, or ``interpolation`` is none of these.
    """

    def __init__(self, size: int, resize: int | None = None, interpolation: str = 'bilinear') -> None:
        if size < 1 or resize is not None and resize < 1:
            raise ValueError(f'size and resize must be at least 1 pixel, got {size} and {resize}')
        self.size = size
        self.resize = resize
        self.interpolation = check_interpolation(interpolation)

    def __call__(self, image: np.ndarray) -> Tensor:
        """Returns uint8 (3, size, size) of ``image``, uint8 (H, W, 3)."""
        if self.resize is not None:
            height, width = image.shape[:2]
            short = min(height, width)
            height, width = (self.resize * side // short for side in (height, width))
            image = resize(image, height, width, self.interpolation).permute(1, 2, 0).numpy()
        return resize(image, self.size, self.size, self.interpolation)

"""The view that resizes the whole image to a square."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmssl.datasets.transforms.geometry import MAX_ASPECT, check_interpolation, check_size, resize
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SquareView:
    """Resizes the whole image to ``size`` x ``size`` pixels, without a crop; its proportions change.

    The SVM benchmark on VOC2007 prepares images in this way, first resizing the shorter side to ``resize`` (Goyal et
    al., 2019, arXiv:1905.01235, and VISSL).

    Args:
        size: Side of the view in pixels.
        resize: Length in pixels to which the shorter side is resized first; None skips this step, and so does an image
            whose longer side is more than 16 times the shorter one, because it would take gigabytes.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased, or ``'bicubic-aliased'``.

    Raises:
        ValueError: A size is not positive, or ``interpolation`` is unknown.
    """

    def __init__(self, size: int, resize: int | None = None, interpolation: str = 'bilinear') -> None:
        self.size = check_size(size)
        self.resize = None if resize is None else check_size(resize, 'resize')
        self.interpolation = check_interpolation(interpolation)

    def __call__(self, image: np.ndarray) -> Tensor:
        """Returns the view of ``image``, uint8 (H, W, 3): uint8 (3, size, size)."""
        height, width = image.shape[:2]
        short = min(height, width)
        if self.resize is not None and max(height, width) <= MAX_ASPECT * short:
            height, width = (self.resize * side // short for side in (height, width))
            image = resize(image, height, width, self.interpolation).permute(1, 2, 0).numpy()
        return resize(image, self.size, self.size, self.interpolation)

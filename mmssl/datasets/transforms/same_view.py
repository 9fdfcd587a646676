"""A second rendering of a training view."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import DrawnView, render
from mmssl.datasets.transforms.geometry import check_interpolation
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SameView:
    """The view before it in the list once more: same crop, same flip, same photometric program, resized otherwise.

    For a teacher that wants another size or filter than the student, as BEiT's and CLIP's do:
    ``views=[dict(type='AugmentedView', size=224, interpolation='bicubic', ...),
    dict(type='SameView', size=112, interpolation='lanczos')]``. Contrast is changed around the mean of each rendering.

    Args:
        size: Side of the view, in pixels.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased as Pillow does it.

    Raises:
        ValueError: ``size`` is not positive, or ``interpolation`` is none of these.
    """

    kind = 'same'

    def __init__(self, size: int, interpolation: str = 'bilinear') -> None:
        if size < 1:
            raise ValueError(f'size must be at least 1 pixel, got {size}')
        self.size = size
        self.interpolation = check_interpolation(interpolation)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: DrawnView) -> DrawnView:
        """Returns ``previous``; draws nothing."""
        return previous

    def render(self, image: np.ndarray, drawn: DrawnView) -> Tensor:
        """Returns the crop that was drawn, uint8 (3, size, size), of ``image``, uint8 (H, W, 3)."""
        return render(image, drawn, self.size, self.interpolation)

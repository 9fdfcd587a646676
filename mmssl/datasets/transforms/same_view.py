"""Renders a training view a second time, at another size or with another filter."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import DrawnView, render
from mmssl.datasets.transforms.geometry import check_interpolation, check_size
from mmssl.registry import TRANSFORMS


@TRANSFORMS.register_module()
class SameView:
    """Repeats the previous view in ``views`` with the same crop, flip and photometric program but another resize.

    The previous view is an ``AugmentedView``. A ``SameView`` serves teachers that need another size or filter than the
    student, such as the tokenizer of BEiT or CLIP: ``views=[dict(type='AugmentedView', size=224,
    interpolation='bicubic', ...), dict(type='SameView', size=112, interpolation='lanczos')]``. A change of contrast
    uses the mean of each rendering, so it can differ slightly between the two.

    Args:
        size: Side of the view in pixels.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased like Pillow's, or
            ``'bicubic-aliased'``, TensorFlow's bicubic.

    Raises:
        ValueError: ``size`` is not positive, or ``interpolation`` is unknown.
    """

    kind = 'same'

    def __init__(self, size: int, interpolation: str = 'bilinear') -> None:
        self.size = check_size(size)
        self.interpolation = check_interpolation(interpolation)

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: DrawnView) -> DrawnView:
        """Returns ``previous``, the draw of the previous view; draws nothing."""
        return previous

    def render(self, image: np.ndarray, drawn: DrawnView) -> Tensor:
        """Returns the view of ``image``, uint8 (H, W, 3), for the draw: uint8 (3, size, size)."""
        return render(image, drawn, self.size, self.interpolation)

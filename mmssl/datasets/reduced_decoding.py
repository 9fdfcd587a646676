"""Decodes large JPEG files at a part of their size if every view of the image is still made smaller.

The decoder computes the image at 1/2, 1/4 or 1/8 of its size from the low frequencies of each block (as ``draft`` of
Pillow does). Crops, flips and colours are the same; the pixels of a view differ from those of the whole image, because
the low-pass filter of the decoder is added to that of the resize. docs/howto/profiling.md has measured differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.same_view import SameView
from mmssl.utils.errors import UserError

_DIVISORS = (8, 4, 2)


def check_views(views: Sequence[Any], least: float) -> float:
    """Returns ``least`` if it and the views are right for reduced decoding.

    Raises:
        UserError: ``least`` is below 1 or NaN, or a view is neither an ``AugmentedView`` nor a ``SameView``, or has no
            antialiased filter.
    """
    if not least >= 1:
        raise UserError(f'reduced_decoding must be at least 1 pixel per pixel of a view, got {least}')
    for view in views:
        if type(view) not in (AugmentedView, SameView) or view.interpolation == 'bicubic-aliased':
            raise UserError(
                f'reduced_decoding needs views of type AugmentedView or SameView with an antialiased filter, got '
                f'{type(view).__name__}, interpolation={getattr(view, "interpolation", None)!r}'
            )
    return least


def choose_divisor(views: Sequence[Any], drawn: Sequence[Any], least: float) -> int:
    """Returns the largest of 8, 4 and 2 that leaves enough pixels for every view, else 1.

    Args:
        views: Views.
        drawn: Draw of each view.
        least: Pixels that must remain per pixel of a view, in height and in width.
    """
    pixels = min(min(draw.box[2:]) / view.size for view, draw in zip(views, drawn))
    return next((divisor for divisor in _DIVISORS if pixels >= divisor * least), 1)


def render_reduced(view: Any, image: np.ndarray, drawn: Any, divisor: int) -> Tensor:
    """Returns a view of an image that was decoded at a part of its size: uint8 (3, size, size).

    Pillow resizes, because the edges of a crop may lie between two pixels of the reduced image.

    Args:
        view: View.
        image: Reduced image, uint8 (H, W, 3).
        drawn: Draw of the view, with the crop in pixels of the whole image.
        divisor: Size of the whole image divided by that of the reduced one.
    """
    top, left, height, width = (edge / divisor for edge in drawn.box)
    box = left, top, left + width, top + height
    filter = Image.Resampling[view.interpolation.upper()]
    resized = Image.fromarray(image).resize((view.size, view.size), filter, box)
    crop = torch.from_numpy(np.array(resized)).permute(2, 0, 1)
    return crop.flip(2) if drawn.flipped else crop

"""Places in two crops of one image."""

from __future__ import annotations

import torch
from torch import Tensor


def map_points(points: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Maps places in one crop of an image to the same places in another crop.

    A crop is (left, top, width, height, flipped): its rectangle in pixels of the image, and 1 if left and right were
    exchanged after cropping, else 0.

    Args:
        points: (N, P, 2), x and y in the source crop; 0 is its left or upper border and 1 its right or lower one.
        source: (N, 5), crops in which the points lie.
        target: (N, 5), other crops of the same images.

    Returns:
        (N, P, 2), x and y in the target crop; outside [0, 1] where the crops do not overlap.
    """
    points = _flip(points, source)
    points = points * source[:, None, 2:4] + source[:, None, :2]  # pixels of the image
    return _flip((points - target[:, None, :2]) / target[:, None, 2:4], target)


def _flip(points: Tensor, crops: Tensor) -> Tensor:
    x, y = points.unbind(-1)
    return torch.stack([torch.where(crops[:, None, 4] > 0, 1 - x, x), y], dim=-1)

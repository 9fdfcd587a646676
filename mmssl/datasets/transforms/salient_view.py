"""The training view of CAST: a crop that shows enough of what is salient."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.augmented_view import AugmentedView, DrawnView, Draws
from mmssl.registry import TRANSFORMS
from mmssl.utils.errors import UserError

_ATTEMPTS = 10
_REJECTIONS = 1000  # draws of a centre, after which it is uniform: the interval is then far narrower than the normal


def smallest_cover(mask: np.ndarray, min_cover: float, min_scale: float) -> float:
    """Returns the share of the mask that a crop must show: less than ``min_cover`` if small crops cannot show more."""
    return min(min_cover, min_scale * mask.size / int(mask.sum()))


def bounding_box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Returns x0, y0, x1, y1 of what is True in a mask (H, W); the ends are exclusive."""
    rows, columns = mask.nonzero()
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


def area_in(mask: np.ndarray, box: tuple[int, int, int, int]) -> int:
    """Returns the number of True in a mask inside a box, x0, y0, x1, y1."""
    x0, y0, x1, y1 = box
    return int(mask[y0:y1, x0:x1].sum())


def draw_salient_crop(
    mask: np.ndarray, rng: Any, scale: tuple[float, float], ratio: tuple[float, float], min_cover: float
) -> tuple[int, int, int, int]:
    """Draws a rectangle that shows enough of a mask (CAST, arXiv:2012.04630, section 3.1).

    Area and aspect ratio are drawn as in ``draw_crop``. The centre is normal around the mask's centre of mass, with the
    side of the image as standard deviation, within the image. After ten attempts that show too little of the mask, the
    crop is a random enlargement of the mask's bounding box with an allowed aspect ratio.

    Args:
        mask: bool (H, W), True = salient; at least one pixel is.
        rng: NumPy generator.
        scale: Smallest and largest area as a fraction of the image's area.
        ratio: Smallest and largest width / height.
        min_cover: Share of the mask that the crop must show.

    Returns:
        x0, y0, x1, y1 in pixels; the ends are exclusive.
    """
    (height, width), whole = mask.shape, int(mask.sum())
    centre_y, centre_x = (float(places.mean()) for places in mask.nonzero())
    needed = smallest_cover(mask, min_cover, scale[0])
    for _ in range(_ATTEMPTS):
        area = rng.uniform(*scale) * height * width
        aspect = math.exp(rng.uniform(math.log(ratio[0]), math.log(ratio[1])))
        h, w = round(math.sqrt(area / aspect)), round(math.sqrt(area * aspect))
        if not (0 < h <= height and 0 < w <= width):
            continue
        x = _truncated_normal(rng, centre_x, width, w / 2, width - w / 2)
        y = _truncated_normal(rng, centre_y, height, h / 2, height - h / 2)
        box = int(x - w / 2), int(y - h / 2), int(x + w / 2), int(y + h / 2)
        if area_in(mask, box) / whole >= needed:
            return box
    return _around(bounding_box(mask), rng, height, width, ratio)


def _truncated_normal(rng: Any, mean: float, deviation: float, low: float, high: float) -> float:
    if low == high:
        return low
    for _ in range(_REJECTIONS):
        value = rng.normal(mean, deviation)
        if low <= value <= high:
            return value
    return rng.uniform(low, high)


def _around(
    inner: tuple[int, int, int, int], rng: Any, height: int, width: int, ratio: tuple[float, float]
) -> tuple[int, int, int, int]:
    """Moves the sides of a box outwards, then cuts what is too long for ``ratio``."""
    x0 = inner[0] - int(rng.integers(0, inner[0], endpoint=True))
    y0 = inner[1] - int(rng.integers(0, inner[1], endpoint=True))
    x1 = inner[2] + int(rng.integers(0, width - inner[2], endpoint=True))
    y1 = inner[3] + int(rng.integers(0, height - inner[3], endpoint=True))
    if x1 - x0 > ratio[1] * (y1 - y0):
        x1 = x0 + max(int((y1 - y0) * ratio[1]), 1)
        if x1 < inner[2]:
            x0, x1 = x0 + inner[2] - x1, inner[2]
    elif x1 - x0 < ratio[0] * (y1 - y0):
        y1 = y0 + max(int((x1 - x0) / ratio[0]), 1)
        if y1 < inner[3]:
            y0, y1 = y0 + inner[3] - y1, inner[3]
    return x0, y0, x1, y1


@TRANSFORMS.register_module()
class SalientView(AugmentedView):
    """An ``AugmentedView`` whose crop shows enough of what is salient; a dataset of type ``SalientImages`` draws it.

    CAST: ``size=224, min_scale=0.2, jitter=(.4, .4, .4, .4), jitter_prob=0.5, grayscale=0.2, order=('grayscale',
    'jitter')``.

    Args:
        size: Side of the view in pixels.
        min_cover: Share of the salient pixels that the crop must show, in [0, 1]; less where a mask is too large.
        **kwargs: Arguments of ``AugmentedView`` without ``crop``, because CAST has a rule of its own.

    Raises:
        ValueError: ``min_cover`` lies outside [0, 1], or ``crop`` is given.
    """

    kind = 'salient'

    def __init__(self, size: int, *, min_cover: float = 0.2, **kwargs: Any) -> None:
        if 'crop' in kwargs:
            raise ValueError('SalientView takes no crop: it draws crops around what is salient')
        super().__init__(size, **kwargs)
        if not 0 <= min_cover <= 1:
            raise ValueError(f'min_cover must lie in [0, 1], got {min_cover}')
        self.min_cover = min_cover

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: object = None) -> DrawnView:
        """Raises an error, because the dataset has no masks.

        Raises:
            UserError: Always.
        """
        raise UserError(
            "SalientView needs masks: wrap the dataset, dict(type='SalientImages', dataset=dict(...), views=[...])"
        )

    def draw_around(self, mask: np.ndarray, rng: np.random.Generator) -> DrawnView:
        """Draws crop, flip and photometric program for an image with a mask (H, W)."""
        x0, y0, x1, y1 = draw_salient_crop(mask, rng, self.scale, self.ratio, self.min_cover)
        draw = Draws(rng)
        return DrawnView((y0, x0, y1 - y0, x1 - x0), draw() < self.flip, self.draw_program(draw))

    def render_mask(self, mask: np.ndarray, drawn: DrawnView) -> Tensor:
        """Returns the mask (H, W) of an image as the view shows it, uint8 (size, size): 0 or 1."""
        top, left, height, width = drawn.box
        crop = mask[top : top + height, left : left + width].astype(np.uint8)
        shown = torch.from_numpy(cv2.resize(crop, (self.size, self.size), interpolation=cv2.INTER_LINEAR))
        return shown.flip(1) if drawn.flipped else shown

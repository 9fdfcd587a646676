"""The training view: a random resized crop and a photometric program."""

from __future__ import annotations

from collections.abc import Callable
from math import inf
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from mmssl.datasets.transforms.geometry import CROP_ATTEMPTS, CROPS, check_interpolation, check_size, resize
from mmssl.datasets.transforms.photometric_program import CODES, COLORS, GROUPS, JITTER, NUM_STEPS
from mmssl.registry import TRANSFORMS

# Number of draws of a view: crop attempts and position, flip, groups, values and order of the jitter, blur.
_DRAWS_AHEAD = 2 * CROP_ATTEMPTS + 2 + 1 + len(GROUPS) + 2 * len(JITTER) + 1


class Draws:
    """A function that returns the next random number, uniform in [0, 1), at each call.

    It draws most numbers of a view in one call of ``rng``, because a call takes longer than the arithmetic of a view.
    If a view needs more numbers (a distorted crop may), they are drawn one by one.

    Args:
        rng: Generator of the numbers.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._ahead = rng.random(_DRAWS_AHEAD).tolist()[::-1]

    def __call__(self) -> float:
        return self._ahead.pop() if self._ahead else self._rng.random()


class DrawnView(NamedTuple):
    """The random draws of a view."""

    box: tuple[int, int, int, int]
    """Top, left, height and width of the crop in pixels of the image."""
    flipped: bool
    """True if left and right are exchanged."""
    program: Tensor
    """Photometric program, float32 (steps, 2), see ``photometric_program``."""


def render(image: np.ndarray, drawn: DrawnView, size: int, interpolation: str) -> Tensor:
    """Crops, resizes and flips an image as drawn, without the photometric program.

    Args:
        image: uint8 (H, W, 3).
        drawn: Draw of the view.
        size: Side of the result in pixels.
        interpolation: Filter of the resize, see ``resize``.

    Returns:
        uint8 (3, size, size).
    """
    top, left, height, width = drawn.box
    crop = resize(image[top : top + height, left : left + width], size, size, interpolation)
    return crop.flip(2) if drawn.flipped else crop


@TRANSFORMS.register_module()
class AugmentedView:
    """A random resized crop with a random flip, and the photometric program that the device applies to it.

    All photometric operations are off by default, so that a recipe shows its whole augmentation. Examples:

    - MoCo v2, SimSiam: ``min_scale=0.2, jitter=(.4, .4, .4, .1), grayscale=0.2, blur=0.5``
    - MoCo v1: ``min_scale=0.2, jitter=(.4, .4, .4, .4), jitter_prob=1.0, grayscale=0.2, order=('grayscale', 'jitter')``
    - SimCLR: ``min_scale=0.08, crop='distorted', interpolation='bicubic-aliased', jitter=(.8, .8, .8, .2),
      colors='tensorflow', grayscale=0.2, blur=0.5``
    - BYOL, first and second view: ``min_scale=0.08, crop='clamped', interpolation='bicubic-aliased',
      jitter=(.4, .4, .2, .1), colors='tensorflow-offset', grayscale=0.2`` with ``blur=1.0`` and with
      ``blur=0.1, solarize=0.2``

    By default crop and operations follow torchvision. With ``crop``, ``interpolation`` and ``colors`` they follow
    TensorFlow, like the official codes of SimCLR and BYOL.

    Args:
        size: Side of the view in pixels.
        min_scale: Smallest area of the crop as a fraction of the image's area.
        max_scale: Largest area of the crop as a fraction of the image's area.
        ratio: Smallest and largest width / height of the crop.
        interpolation: ``'bilinear'``, ``'bicubic'`` or ``'lanczos'``, antialiased like Pillow's, or
            ``'bicubic-aliased'``, TensorFlow's bicubic.
        crop: Rule of the crop: ``'torchvision'`` (``draw_crop``), ``'clamped'`` (``draw_clamped_crop``) or
            ``'distorted'`` (``draw_distorted_crop``).
        flip: Probability of a horizontal flip.
        jitter: Strengths x of brightness, contrast, saturation and hue. The first three multiply by a factor uniform in
            [max(0, 1 - x), 1 + x]; hue shifts by an angle uniform in [-x, x] turns, x <= 0.5. The four operations run
            in random order.
        jitter_prob: Probability of the jitter (all four operations together).
        colors: Rules of the jitter: ``'torchvision'``; ``'tensorflow'``, where contrast uses each channel's own mean
            and saturation is changed in HSV; or ``'tensorflow-offset'``, where also brightness is an added number
            uniform in [-x, x] instead of a factor.
        grayscale: Probability of grey (three equal channels).
        blur: Probability of a Gaussian blur.
        blur_sigma: Smallest and largest standard deviation of the blur in pixels; drawn uniformly.
        solarize: Probability of inverting the pixels at or above ``solarize_threshold``.
        solarize_threshold: Pixel value in 0-255 from which pixels are inverted.
        order: Order of the groups ``'jitter'``, ``'grayscale'``, ``'blur'`` and ``'solarize'``. A missing group must
            have the probability 0.

    Raises:
        ValueError: An argument is outside its range or unknown.
    """

    def __init__(
        self,
        size: int,
        *,
        min_scale: float = 0.08,
        max_scale: float = 1.0,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: str = 'bilinear',
        crop: str = 'torchvision',
        flip: float = 0.5,
        jitter: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0),
        jitter_prob: float = 0.8,
        colors: str = 'torchvision',
        grayscale: float = 0.0,
        blur: float = 0.0,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        solarize: float = 0.0,
        solarize_threshold: float = 128,
        order: tuple[str, ...] = GROUPS,
    ) -> None:
        self.size = check_size(size)
        self.scale = (min_scale, max_scale)
        self.ratio = (ratio[0], ratio[1])
        self.interpolation = check_interpolation(interpolation)
        if crop not in CROPS or colors not in COLORS:
            raise ValueError(
                f'crop must be one of {tuple(CROPS)} and colors one of {tuple(COLORS)}, got {crop!r} and {colors!r}'
            )
        self.draw_box = CROPS[crop]
        self.colors = COLORS[colors]
        self.flip = flip
        self.jitter = tuple(jitter)
        self.probabilities = dict(
            jitter=jitter_prob if any(jitter) else 0.0, grayscale=grayscale, blur=blur, solarize=solarize
        )
        self.blur_sigma = tuple(blur_sigma)
        self.solarize_threshold = solarize_threshold / 255
        self.order = tuple(order)
        self._check()

    def _check(self) -> None:
        if not 0 < self.scale[0] <= self.scale[1] <= 1:
            raise ValueError(f'0 < min_scale <= max_scale <= 1 must hold, got {self.scale}')
        if not 0 < self.ratio[0] <= self.ratio[1] < inf:
            raise ValueError(f'ratio must be two positive numbers, the smaller first, got {self.ratio}')
        if len(self.blur_sigma) != 2 or not 0 < self.blur_sigma[0] <= self.blur_sigma[1] < inf:
            raise ValueError(f'blur_sigma must be two positive numbers, the smaller first, got {self.blur_sigma}')
        if len(self.jitter) != len(JITTER) or not all(0 <= x < inf for x in self.jitter) or self.jitter[-1] > 0.5:
            raise ValueError(f'jitter must be four strengths >= 0, finite and with hue at most 0.5, got {self.jitter}')
        if not 0 <= self.solarize_threshold <= 1:
            raise ValueError(f'solarize_threshold must be in [0, 255], got {255 * self.solarize_threshold:g}')
        for name, probability in dict(self.probabilities, flip=self.flip).items():
            if not 0 <= probability <= 1:
                raise ValueError(f'the probability of {name} must be in [0, 1], got {probability}')
        missing = [name for name in GROUPS if self.probabilities[name] and name not in self.order]
        if missing or len(set(self.order)) != len(self.order) or not set(self.order) <= set(GROUPS):
            raise ValueError(f'order must name each of {GROUPS} that is used once, got {self.order}')

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws one view.

        Args:
            image: uint8 (H, W, 3).
            rng: Generator of all random draws.

        Returns:
            The crop, uint8 (3, size, size), and its photometric program, float32 (steps, 2).
        """
        drawn = self.draw(image.shape[:2], rng)
        return self.render(image, drawn), drawn.program

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: DrawnView | None = None) -> DrawnView:
        """Draws the crop, the flip and the photometric program.

        Args:
            shape: Height and width of the image in pixels.
            rng: Generator of all random draws.
            previous: Draw of the previous view in ``views``; not used here.
        """
        draw = Draws(rng)
        height, width = shape
        return DrawnView(
            self.draw_box(draw, height, width, self.scale, self.ratio), draw() < self.flip, self.draw_program(draw)
        )

    def render(self, image: np.ndarray, drawn: DrawnView) -> Tensor:
        """Returns the crop of ``image``, uint8 (H, W, 3), for the draw: uint8 (3, size, size)."""
        return render(image, drawn, self.size, self.interpolation)

    def color_operations(self) -> list[str]:
        """Returns the names of its operations that need red, green and blue: saturation, hue and grayscale."""
        jitter = [name for name, strength in zip(JITTER, self.jitter) if strength and self.probabilities['jitter']]
        return [name for name in jitter if name in ('saturation', 'hue')] + ['grayscale'] * (
            self.probabilities['grayscale'] > 0
        )

    def draw_program(self, draw: Callable[[], float]) -> Tensor:
        """Draws a photometric program, float32 (steps, 2).

        Args:
            draw: Function that returns a number uniform in [0, 1).
        """
        steps: list[tuple[int, float]] = []
        for group in self.order:
            if draw() >= self.probabilities[group]:
                continue
            if group == 'jitter':
                steps += self._draw_jitter(draw)
            elif group == 'blur':
                low, high = self.blur_sigma
                steps.append((CODES[group], low + draw() * (high - low)))
            else:
                steps.append((CODES[group], self.solarize_threshold if group == 'solarize' else 0.0))
        return torch.tensor(steps + [(CODES['none'], 0.0)] * (NUM_STEPS - len(steps)), dtype=torch.float32)

    def _draw_jitter(self, draw: Callable[[], float]) -> list[tuple[int, float]]:
        steps = []
        for name, strength in zip(self.colors, self.jitter):
            is_shift = name in ('hue', 'brightness_offset')
            low, high = (-strength, strength) if is_shift else (max(0.0, 1 - strength), 1 + strength)
            steps.append((draw(), CODES[name], low + draw() * (high - low), strength))
        return [(code, value) for _, code, value, strength in sorted(steps) if strength > 0]

"""The training view of fine-tuning, with RandAugment or colour jitter, and random erasing."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from timm.data.auto_augment import posterize, rand_augment_transform
from timm.data.transforms import str_to_pil_interp
from torch import Tensor
from torchvision.transforms.functional import adjust_brightness, adjust_contrast, adjust_saturation

from mmssl.datasets.transforms.augmented_view import AugmentedView, DrawnView
from mmssl.registry import TRANSFORMS

_ERASE_ATTEMPTS = 10
_ERASE_AREA = (0.02, 1 / 3)
_ERASE_LOG_ASPECT = (math.log(0.3), math.log(1 / 0.3))


@contextmanager
def _seeded_globals(rng: np.random.Generator) -> Iterator[None]:
    """Seeds the global generators of Python and NumPy, from which timm draws, and restores their state at the end."""
    states = random.getstate(), np.random.get_state()  # noqa: NPY002
    words = rng.integers(2**32, size=2, dtype=np.uint32)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def _posterize(image: Image.Image, bits: int, **options: Any) -> Image.Image:
    """Posterises with timm; returns black for 0 bits, as Pillow did up to version 12 (Pillow 13 raises an error)."""
    return posterize(image, bits, **options) if bits > 0 else Image.new(image.mode, image.size)


class DrawnSupervisedView(NamedTuple):
    """The random draws of a view: the fields of ``DrawnView``, and the seed of RandAugment or jitter, and erasing."""

    box: tuple[int, int, int, int]
    flipped: bool
    program: Tensor
    seed: int


@TRANSFORMS.register_module()
class SupervisedView:
    """Random resized crop, flip, RandAugment or colour jitter, and random erasing: the view for fine-tuning ViTs.

    All draws come from the generator of the image. (For a linear probe, which needs crop and flip only, use
    ``AugmentedView``.)

    RandAugment (arXiv:1909.13719) applies timm's operations to the crop; pixels from outside the crop get the colour
    ``mean``, and an image that is posterised to 0 bits is black. Random erasing (arXiv:1708.04896) fills a rectangle of
    2 % to a third of the area with noise that is a unit normal after normalisation. Deviation: timm erases after the
    normalisation, here the noise is written before it, in bytes, so it is rounded and clipped at about two standard
    deviations.

    Args:
        size: Side of the view in pixels.
        min_scale: Smallest area of the crop as a fraction of the image's area.
        ratio: Smallest and largest width / height of the crop.
        interpolation: Filter of the crop and of RandAugment's geometric operations, ``'bilinear'`` or ``'bicubic'``.
        flip: Probability of a horizontal flip.
        rand_augment: Description of RandAugment in timm's syntax, such as ``'rand-m9-mstd0.5-inc1'``; None turns it
            off.
        color_jitter: Strength of the colour jitter in [0, 1], instead of RandAugment: brightness, contrast and
            saturation are multiplied, in random order, by factors from [1 - strength, 1 + strength]. 0 turns it off.
        erase: Probability of random erasing.
        mean: Means of red, green and blue in the normalisation, on the scale 0-255.
        std: Standard deviations of red, green and blue in the normalisation, on the scale 0-255.

    Raises:
        ValueError: ``rand_augment`` is not a description of timm's RandAugment, it is given together with
            ``color_jitter``, or an argument is outside its range.
    """

    needs_rgb = True

    def __init__(
        self,
        size: int,
        *,
        min_scale: float = 0.08,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
        flip: float = 0.5,
        rand_augment: str | None = None,
        color_jitter: float = 0.0,
        erase: float = 0.0,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        if interpolation not in ('bilinear', 'bicubic'):  # Pillow rotates with no other filter
            raise ValueError(f"SupervisedView needs interpolation='bilinear' or 'bicubic', got {interpolation!r}")
        self.crop = AugmentedView(size, min_scale=min_scale, ratio=ratio, interpolation=interpolation, flip=flip)
        self.size = size
        if not 0 <= erase <= 1:
            raise ValueError(f'erase must be a probability in [0, 1], got {erase}')
        if not 0 <= color_jitter <= 1:
            raise ValueError(f'color_jitter must be in [0, 1], got {color_jitter}')
        if color_jitter and rand_augment is not None:
            raise ValueError('rand_augment changes colours too: give it or color_jitter, not both')
        if max(std) < 1:
            raise ValueError(f'mean and std are on the scale 0-255, got std={list(std)}: multiply both by 255')
        self.color_jitter = color_jitter
        self.erase = erase
        self.mean, self.std = np.array(mean, np.float32), np.array(std, np.float32)
        self.rand_augment = None if rand_augment is None else self._build(rand_augment, interpolation)

    def _build(self, description: str, interpolation: str) -> Any:
        options = dict(
            translate_const=int(0.45 * self.size),
            img_mean=tuple(min(255, round(float(value))) for value in self.mean),
            interpolation=str_to_pil_interp(interpolation),
        )
        try:
            augment = rand_augment_transform(description, options)
        except (AssertionError, ValueError, KeyError) as error:
            raise ValueError(
                f"rand_augment must be a description such as 'rand-m9-mstd0.5-inc1', got {description!r}"
            ) from error
        for operation in augment.ops:
            if operation.aug_fn is posterize:
                operation.aug_fn = _posterize
        return augment

    def __call__(self, image: np.ndarray, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draws one view.

        Args:
            image: uint8 (H, W, 3).
            rng: Generator of all random draws.

        Returns:
            The view, uint8 (3, size, size), and a photometric program without operations, float32 (steps, 2).
        """
        drawn = self.draw(image.shape[:2], rng)
        return self.render(image, drawn), drawn.program

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: object = None) -> DrawnSupervisedView:
        """Draws the crop, the flip, and the seed of RandAugment or jitter, and erasing.

        Args:
            shape: Height and width of the image in pixels.
            rng: Generator of all random draws.
            previous: Draw of the previous view in ``views``; not used here.
        """
        drawn = self.crop.draw(shape, rng)
        return DrawnSupervisedView(*drawn, seed=int(rng.integers(2**63)))

    def render(self, image: np.ndarray, drawn: DrawnSupervisedView) -> Tensor:
        """Returns the view of ``image``, uint8 (H, W, 3), for the draw: uint8 (3, size, size)."""
        view = self.crop.render(image, DrawnView(drawn.box, drawn.flipped, drawn.program))
        rng = np.random.default_rng(drawn.seed)
        if self.rand_augment is not None:
            with _seeded_globals(rng):
                pixels = self.rand_augment(Image.fromarray(view.permute(1, 2, 0).contiguous().numpy()))
            view = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
        if self.color_jitter:
            view = self._jitter(view, rng)
        return self._erase(view, rng) if rng.random() < self.erase else view

    def _jitter(self, view: Tensor, rng: np.random.Generator) -> Tensor:
        for change in rng.permutation([adjust_brightness, adjust_contrast, adjust_saturation]):
            view = change(view, rng.uniform(1 - self.color_jitter, 1 + self.color_jitter))
        return view

    def _erase(self, view: Tensor, rng: np.random.Generator) -> Tensor:
        for _ in range(_ERASE_ATTEMPTS):
            area = rng.uniform(*_ERASE_AREA) * self.size**2
            aspect = math.exp(rng.uniform(*_ERASE_LOG_ASPECT))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height < self.size and width < self.size:
                break
        else:
            return view
        top, left = (int(rng.integers(self.size - side + 1)) for side in (height, width))
        noise = self.mean + self.std * rng.standard_normal((height, width, 3), dtype=np.float32)
        view = view.clone()
        view[:, top : top + height, left : left + width] = torch.from_numpy(
            noise.round().clip(0, 255).astype(np.uint8)
        ).permute(2, 0, 1)
        return view

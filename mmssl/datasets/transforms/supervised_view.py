"""The training view of fine-tuning: RandAugment and random erasing."""

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

from mmssl.datasets.transforms.augmented_view import AugmentedView, DrawnView
from mmssl.registry import TRANSFORMS

_ERASE_ATTEMPTS = 10
_ERASE_AREA = (0.02, 1 / 3)
_ERASE_LOG_ASPECT = (math.log(0.3), math.log(1 / 0.3))


@contextmanager
def _seeded_globals(rng: np.random.Generator) -> Iterator[None]:
    """Seeds the generators that timm's augmentation draws from, and puts them back as they were."""
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
    """timm's operation, and black for 0 bits: so Pillow drew it up to version 12, and since 13 it refuses 0."""
    return posterize(image, bits, **options) if bits > 0 else Image.new(image.mode, image.size)


class DrawnSupervisedView(NamedTuple):
    """What is random about the view: as ``DrawnView``, and the seed of RandAugment and erasing."""

    box: tuple[int, int, int, int]
    flipped: bool
    program: Tensor
    seed: int


@TRANSFORMS.register_module()
class SupervisedView:
    """Random resized crop, flip, timm's RandAugment and random erasing: the view of fine-tuned ViTs.

    Everything is drawn from the image's own generator. A linear probe's view (crop and flip) is ``AugmentedView``.

    RandAugment (arXiv:1909.13719) works on the crop with timm's operations; pixels from outside get ``mean``, and an
    image posterised to 0 bits is black. Random
    erasing (arXiv:1708.04896) fills a rectangle of 2 % to a third of the area with noise: a unit normal on the scale of
    the normalised image. timm writes it after the normalisation; here it is written before, in bytes, so it is rounded
    and cut at the ends of their range, about two standard deviations.

    Args:
        size: Side of the view, in pixels.
        min_scale: Smallest area of the crop, as a fraction of the image's.
        ratio: Smallest and largest width / height of the crop.
        interpolation: ``'bilinear'`` or ``'bicubic'``, of the crop and of RandAugment's geometric operations.
        flip: Probability of a horizontal flip.
        rand_augment: timm's description, ``'rand-m9-mstd0.5-inc1'`` for instance; None leaves it out.
        erase: Probability of random erasing.
        mean: Of red, green and blue, on the scale 0-255.
        std: Likewise.

    Raises:
        ValueError: ``rand_augment`` is no description of timm's RandAugment, or another argument is outside its range.
    """

    def __init__(
        self,
        size: int,
        *,
        min_scale: float = 0.08,
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        interpolation: str = 'bicubic',
        flip: float = 0.5,
        rand_augment: str | None = None,
        erase: float = 0.0,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        self.crop = AugmentedView(size, min_scale=min_scale, ratio=ratio, interpolation=interpolation, flip=flip)
        self.size = size
        if not 0 <= erase <= 1:
            raise ValueError(f'the probability of erasing must lie in [0, 1], got {erase}')
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
            rng: Source of all draws.

        Returns:
            The view, uint8 (3, size, size), and a photometric program without operations, float32 (steps, 2).
        """
        drawn = self.draw(image.shape[:2], rng)
        return self.render(image, drawn), drawn.program

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator, previous: object = None) -> DrawnSupervisedView:
        """Draws crop and flip, and the seed of the rest.

        Args:
            shape: Height and width of the image, in pixels.
            rng: Source of all draws.
            previous: What was drawn for the view before this one in the list; not used here.
        """
        drawn = self.crop.draw(shape, rng)
        return DrawnSupervisedView(*drawn, seed=int(rng.integers(2**63)))

    def render(self, image: np.ndarray, drawn: DrawnSupervisedView) -> Tensor:
        """Returns the view that was drawn, uint8 (3, size, size), of ``image``, uint8 (H, W, 3)."""
        view = self.crop.render(image, DrawnView(drawn.box, drawn.flipped, drawn.program))
        rng = np.random.default_rng(drawn.seed)
        if self.rand_augment is not None:
            with _seeded_globals(rng):
                pixels = self.rand_augment(Image.fromarray(view.permute(1, 2, 0).contiguous().numpy()))
            view = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)
        return self._erase(view, rng) if rng.random() < self.erase else view

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

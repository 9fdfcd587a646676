"""Masks whose share of hidden patches is drawn for every image."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device
from mmssl.models.maskers.blockwise_masker import blockwise_mask, check_min_aspect
from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS
from mmssl.utils.arguments import check_choices


def draw_ratio(rng: random.Random | ModuleType, ratios: Sequence[float], spreads: Sequence[float]) -> float:
    """Draws a number from ``ratio - spread`` to ``ratio + spread`` for each ratio, then one of these numbers.

    Args:
        rng: Random number generator: a ``random.Random`` or the module ``random`` itself.
        ratios: Middles of the intervals; a single one is taken without a choice.
        spreads: Half widths of the intervals; 0 stands for the ratio itself and draws no number.
    """
    drawn = [rng.uniform(r - s, r + s) if s > 0 else r for r, s in zip(ratios, spreads)]
    return rng.choice(drawn) if len(drawn) > 1 else drawn[0]


def shuffled_mask(rng: Any, num_patches: int, num_hidden: int) -> np.ndarray:
    """Hides patches one by one.

    Args:
        rng: NumPy's random number generator, old or new.
        num_patches: Number of patches L.
        num_hidden: Number of hidden patches.

    Returns:
        The mask, (L,) bool, True = hidden.
    """
    mask = np.arange(num_patches) >= num_patches - num_hidden
    rng.shuffle(mask)
    return mask


@MASKERS.register_module()
class RatioMasker(Masker):
    """Draws the share of hidden patches for every image, then hides blocks or single patches (iBOT, section 3.3).

    A share is drawn by ``draw_ratio``: with the default values half of the images hide nothing, and the others hide 10
    to 50 % of their patches. Blocks cover at least ``(min(rows, columns) // 3) ** 2`` patches and are drawn until the
    share is reached, see ``blockwise_mask``. Numbers are drawn on the CPU in the order of the official code, from
    Python's ``random``.

    Args:
        ratios: Middles of the intervals of the share, in [0, 1].
        spreads: Half width of each interval, not larger than its ratio.
        shape: Shape: ``'block'``, or ``'patch'`` for single patches (the official ``rand``).
        min_aspect: Smallest height / width of a block, in (0, 1]; the largest is its inverse.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: ``shape`` is unknown, there is not one spread per ratio, an interval does not lie in [0, 1], or
            ``min_aspect`` lies outside (0, 1].
    """

    varies = True

    def __init__(
        self,
        ratios: Sequence[float] = (0.0, 0.3),
        spreads: Sequence[float] = (0.0, 0.2),
        shape: str = 'block',
        min_aspect: float = 0.3,
        patch_size: int = 16,
    ) -> None:
        super().__init__(patch_size)
        check_choices(shape=(shape, ('block', 'patch')))
        if not ratios or len(ratios) != len(spreads):
            raise ValueError(f'ratios and spreads need one number per interval, got {ratios} and {spreads}')
        if not all(0 <= r - s <= r + s <= 1 for r, s in zip(ratios, spreads)):
            raise ValueError(f'shares of hidden patches lie in [0, 1], but {ratios} +- {spreads} does not')
        check_min_aspect(min_aspect)
        self.ratios, self.spreads = tuple(ratios), tuple(spreads)
        self.shape = shape
        self.min_aspect = min_aspect

    def num_hidden(self, num_patches: int) -> int:
        """Returns the largest number of hidden patches of an image with ``num_patches`` patches."""
        return math.ceil(max(r + s for r, s in zip(self.ratios, self.spreads)) * num_patches)

    def forward(self, images: Tensor) -> Tensor:
        """Returns a mask (N, L) bool on the device of the images, True = hidden, for images (N, 3, H, W)."""
        return to_device(torch.from_numpy(self.masks(images)), images.device)

    def masks(self, images: Tensor) -> np.ndarray:
        """Returns the same as ``forward`` in an array, for an algorithm that needs the number of hidden patches."""
        grid = self.grid(images)
        return np.stack([self.draw(random, grid) for _ in range(len(images))])

    def draw(self, rng: random.Random | ModuleType, grid: tuple[int, int], shuffler: Any = None) -> np.ndarray:
        """Draws one mask.

        Args:
            rng: Random number generator: a ``random.Random`` or the module ``random`` itself.
            grid: Rows and columns of patches.
            shuffler: NumPy's random number generator, old or new, that chooses single patches; None makes one from
                ``rng``.

        Returns:
            The mask, (L,) bool, True = hidden.
        """
        rows, columns = grid
        wanted = draw_ratio(rng, self.ratios, self.spreads) * rows * columns
        if self.shape == 'block':
            smallest = (min(grid) // 3) ** 2
            return blockwise_mask(rng, grid, wanted, smallest, min_aspect=self.min_aspect).ravel()
        shuffler = shuffler or np.random.default_rng(rng.getrandbits(64))
        return shuffled_mask(shuffler, rows * columns, int(wanted))

"""Masks whose shares of hidden patches are spread evenly over the images of a batch."""

from __future__ import annotations

import math
import random
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device
from mmssl.models.maskers.blockwise_masker import blockwise_mask, check_min_aspect
from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS


@MASKERS.register_module()
class StratifiedMasker(Masker):
    """Hides blocks in some images of a batch, with shares from every part of an interval (DINOv2, arXiv:2304.07193).

    ``int(N * probability)`` of N images hide patches. Their shares of hidden patches are drawn from as many equal parts
    of the interval ``ratios``, one from each, and the masks are shuffled. Blocks are drawn by ``blockwise_mask`` until
    the share is reached or ten blocks in a row do not fit, so fewer patches may be hidden. Numbers are drawn on the CPU
    in the order of the official code, from Python's ``random``.

    Args:
        ratios: Smallest and largest share of hidden patches, in [0, 1].
        probability: Share of the images that hide patches, in [0, 1].
        min_block: Smallest area of a block, in patches, at least 1.
        max_block: Largest area of a block, as a share of the patches of an image, in (0, 1].
        min_aspect: Smallest height / width of a block, in (0, 1]; the largest is its inverse.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: ``ratios`` is not an interval in [0, 1], or another argument is outside its range.
    """

    varies = True

    def __init__(
        self,
        ratios: tuple[float, float] = (0.1, 0.5),
        probability: float = 0.5,
        min_block: int = 4,
        max_block: float = 0.5,
        min_aspect: float = 0.3,
        patch_size: int = 14,
    ) -> None:
        super().__init__(patch_size)
        if len(ratios) != 2 or not 0 <= ratios[0] <= ratios[1] <= 1 or not 0 <= probability <= 1:
            raise ValueError(
                f'ratios must be an interval in [0, 1] and probability lie in [0, 1], got {ratios} and {probability}'
            )
        if min_block < 1 or not 0 < max_block <= 1:
            raise ValueError(
                f'min_block must be at least 1 patch and max_block, a share, lie in (0, 1], got {min_block} and '
                f'{max_block}'
            )
        check_min_aspect(min_aspect)
        self.ratios = tuple(ratios)
        self.probability = probability
        self.min_block, self.max_block, self.min_aspect = min_block, max_block, min_aspect

    def num_hidden(self, num_patches: int) -> int:
        """Returns the largest number of hidden patches of an image with ``num_patches`` patches."""
        return math.ceil(self.ratios[1] * num_patches)

    def forward(self, images: Tensor) -> Tensor:
        """Returns a mask (N, L) bool on the device of the images, True = hidden, for images (N, 3, H, W)."""
        return to_device(torch.from_numpy(self.masks(images)), images.device)

    def masks(self, images: Tensor) -> np.ndarray:
        """Returns the same as ``forward`` in an array, for an algorithm that needs the number of hidden patches."""
        return self.draw(random, len(images), self.grid(images))

    def draw(self, rng: random.Random | ModuleType, count: int, grid: tuple[int, int]) -> np.ndarray:
        """Draws the masks of a batch.

        Args:
            rng: Random number generator: a ``random.Random`` or the module ``random`` itself.
            count: Number N of images.
            grid: Rows and columns of patches.

        Returns:
            (N, L) bool, True = hidden.
        """
        num_patches = grid[0] * grid[1]
        num_masked = int(count * self.probability)
        bounds = np.linspace(self.ratios[0], self.ratios[1], num_masked + 1)
        masks = []
        for low, high in zip(bounds, bounds[1:]):
            wanted = int(num_patches * rng.uniform(low, high))
            masks.append(self.mask(rng, grid, wanted).ravel())
        masks += [np.zeros(num_patches, dtype=bool)] * (count - num_masked)
        rng.shuffle(masks)
        return np.stack(masks)

    def mask(self, rng: random.Random | ModuleType, grid: tuple[int, int], num_hidden: int) -> np.ndarray:
        """Draws one mask, (rows, columns) bool, that hides at most ``num_hidden`` patches."""
        largest = self.max_block * grid[0] * grid[1]
        return blockwise_mask(rng, grid, num_hidden, self.min_block, largest, self.min_aspect)

"""Masks of CAPI: one block stays visible, and a few of the other patches are predicted."""

from __future__ import annotations

import math
import random
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device
from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS


def rolled_block(
    rng: random.Random | ModuleType,
    grid: tuple[int, int],
    num_patches: int,
    aspect: tuple[float, float] = (0.5, 2.0),
    roll: bool = True,
) -> np.ndarray:
    """Draws a block of patches, in the order of the official code (Darcet et al., 2025, arXiv:2502.08769).

    The logarithm of height / width is uniform, within what the grid allows. The sides are rounded up, and of the
    patches in the block the first ``num_patches`` count, in row-major order.

    Args:
        rng: Random number generator: a ``random.Random`` or the module ``random`` itself.
        grid: Rows and columns of patches.
        num_patches: Number of patches in the block, in [1, rows * columns].
        aspect: Smallest and largest height / width of the block.
        roll: Whether the block is then shifted around both edges of the image at random.

    Returns:
        (rows, columns) bool, True = in the block.
    """
    rows, columns = grid
    widest, tallest = num_patches / columns**2, rows**2 / (num_patches + 1e-5)
    low, high = (math.log(min(max(ratio, widest), max(tallest, widest))) for ratio in aspect)
    ratio = math.exp(rng.uniform(low, high))
    height = min(math.ceil(math.sqrt(num_patches * ratio)), rows)
    width = min(math.ceil(math.sqrt(num_patches / ratio)), columns)
    top, left = rng.randint(0, rows - height), rng.randint(0, columns - width)
    block = np.zeros(grid, dtype=bool)
    block[top : top + height, left : left + width] = True
    block.ravel()[np.flatnonzero(block)[num_patches:]] = False
    if not roll:
        return block
    shift = rng.randint(0, rows - 1), rng.randint(0, columns - 1)
    return np.roll(block, shift, (0, 1))


@MASKERS.register_module()
class InverseBlockMasker(Masker):
    """Leaves one block visible, and draws the hidden patches that are predicted (CAPI, arXiv:2502.08769).

    Blocks are drawn on the CPU from Python's ``random``, see ``rolled_block``, and copied to the device without
    synchronisation. The predicted patches come from torch's generator of the device.

    Args:
        ratio: Share of hidden patches, in (0, 1); ``int(L * ratio)`` are hidden.
        predicted: Share of the hidden patches that are predicted, in (0, 1], rounded down, and at least one patch.
        aspect: Smallest and largest height / width of the visible block.
        roll: Whether the block is shifted around the edges of the image.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: A share or ``aspect`` lies outside its range.
    """

    def __init__(
        self,
        ratio: float = 0.65,
        predicted: float = 0.05,
        aspect: tuple[float, float] = (0.5, 2.0),
        roll: bool = True,
        patch_size: int = 14,
    ) -> None:
        super().__init__(patch_size)
        if not 0 < ratio < 1:
            raise ValueError(f'ratio, the share of hidden patches, must lie in (0, 1), got {ratio}')
        if not 0 < predicted <= 1:
            raise ValueError(f'predicted, the share of the hidden patches, must lie in (0, 1], got {predicted}')
        if not 0 < aspect[0] <= aspect[1]:
            raise ValueError(f'aspect must be two ratios with 0 < smallest <= largest, got {aspect}')
        self.ratio, self.predicted, self.aspect, self.roll = ratio, predicted, (aspect[0], aspect[1]), roll

    def num_hidden(self, num_patches: int) -> int:
        """Returns the number of hidden patches of an image with ``num_patches`` patches."""
        return int(num_patches * self.ratio)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Draws the patches of every image.

        Args:
            images: (N, 3, H, W).

        Returns:
            Positions of the visible patches, (N, K) int64 in ascending order, and of the predicted patches, (N, P)
            int64 in random order.

        Raises:
            ValueError: No patch of such images would be hidden.
        """
        grid = self.grid(images)
        num_hidden = self.num_hidden(math.prod(grid))
        if num_hidden < 1:
            raise ValueError(
                f'ratio={self.ratio} hides none of the {grid[0]} x {grid[1]} patches of an image: set '
                'model.masker.ratio higher, or model.masker.patch_size lower'
            )
        num_visible = math.prod(grid) - num_hidden
        blocks = [rolled_block(random, grid, num_visible, self.aspect, self.roll).ravel() for _ in images]
        visible = _stacked([np.flatnonzero(block) for block in blocks], images)
        hidden = _stacked([np.flatnonzero(~block) for block in blocks], images)
        order = torch.rand(hidden.shape, device=images.device).argsort(dim=1)
        return visible, hidden.gather(1, order[:, : max(int(num_hidden * self.predicted), 1)])

    def regions(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the parts of images (N, 3, H, W) that a figure of the masks shows: name -> (N, L) bool."""
        nothing = torch.zeros(len(images), math.prod(self.grid(images)), dtype=torch.bool, device=images.device)
        parts = zip(('visible', 'predicted'), self(images))
        return {name: nothing.scatter(1, positions, True) for name, positions in parts}


def _stacked(positions: list[np.ndarray], images: Tensor) -> Tensor:
    return to_device(torch.from_numpy(np.stack(positions)), images.device)

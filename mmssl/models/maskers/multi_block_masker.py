"""Masks of I-JEPA: a context block, and target blocks that are cut out of it."""

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
from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS
from mmssl.utils.errors import UserError

_ATTEMPTS = 20

Pair = tuple[float, float]


def block_size(grid: tuple[int, int], scale: Pair, aspect: Pair, draw: float) -> tuple[int, int]:
    """Returns rows and columns of a block (Assran et al., 2023, arXiv:2301.08243, section 3).

    Area and aspect ratio are the values at the same position of their ranges, as in the official code, so a large block
    is also a tall one. Sides are rounded, and reduced until they are shorter than those of the grid.

    Args:
        grid: Rows and columns of patches.
        scale: Smallest and largest share of the patches in the block.
        aspect: Smallest and largest height / width of the block.
        draw: Position in both ranges, in [0, 1).
    """
    rows, columns = grid
    area = int(rows * columns * (scale[0] + draw * (scale[1] - scale[0])))
    ratio = aspect[0] + draw * (aspect[1] - aspect[0])
    height, width = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
    return max(min(height, rows - 1), 1), max(min(width, columns - 1), 1)


def place_block(
    rng: random.Random | ModuleType,
    grid: tuple[int, int],
    size: tuple[int, int],
    taken: Sequence[np.ndarray] = (),
    min_patches: int = 0,
) -> np.ndarray:
    """Puts a block at a random place and takes the patches of other blocks out of it.

    If too few patches are left, another place is drawn. After 20 places the last of the other blocks is ignored, after
    40 the last two, and so on. A block never begins at the last row or column that is possible, as in the official
    code, so the last row and the last column are never covered.

    Args:
        rng: Random number generator: a ``random.Random`` or the module ``random`` itself.
        grid: Rows and columns of patches.
        size: Rows and columns of the block, less than those of the grid.
        taken: Other blocks, (rows, columns) bool, True = in the block.
        min_patches: Smallest number of patches that must be left.

    Returns:
        (rows, columns) bool, True = in the block.
    """
    attempt = 0
    while True:
        top, left = rng.randrange(grid[0] - size[0]), rng.randrange(grid[1] - size[1])
        block = np.zeros(grid, dtype=bool)
        block[top : top + size[0], left : left + size[1]] = True
        for other in taken[: max(len(taken) - attempt // _ATTEMPTS, 0)]:
            block &= ~other
        if np.count_nonzero(block) >= min_patches:
            return block
        attempt += 1


def multi_block_mask(
    rng: random.Random | ModuleType,
    grid: tuple[int, int],
    target_size: tuple[int, int],
    context_size: tuple[int, int],
    num_targets: int = 4,
    min_context: int = 11,
    overlap: bool = False,
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Draws the blocks of one image, first the targets and then the context, in the order of the official code.

    Args:
        rng: Random number generator.
        grid: Rows and columns of patches.
        target_size: Rows and columns of a target block.
        context_size: Rows and columns of the context block.
        num_targets: Number of target blocks; they may overlap each other.
        min_context: Smallest number of patches in the context.
        overlap: Whether the context may hold patches of the targets.

    Returns:
        Positions of the patches of the context (K,), and of each target (n,), int64 in ascending order.
    """
    targets = [place_block(rng, grid, target_size) for _ in range(num_targets)]
    context = place_block(rng, grid, context_size, () if overlap else targets, min_context)
    return np.flatnonzero(context), [np.flatnonzero(target) for target in targets]


@MASKERS.register_module()
class MultiBlockMasker(Masker):
    """Draws a context block and target blocks per image (I-JEPA, arXiv:2301.08243, section 3).

    The sizes of the blocks depend only on the number of the step, so all images of all processes have the same. Places
    are drawn on the CPU from Python's ``random``. All contexts of a batch are cut to the length of the shortest, and
    keep their first patches, as in the official code; the shortest is that of the process.

    Deviation from the official code: only the context has a smallest size here. The official code requires more than
    ten patches of the target blocks, too. It never ends where the size drawn for them is smaller: always on grids of up
    to 6 x 6 patches, at 90 % of the steps with 7 x 7 and at 49 % with 8 x 8.

    Args:
        num_targets: Number T of target blocks.
        target_scale: Smallest and largest share of the patches in a target block, in (0, 1].
        target_aspect: Smallest and largest height / width of a target block.
        context_scale: Smallest and largest share of the patches in the context block, before the targets are taken out.
        min_context: Smallest number of patches in the context, 11 in the official code.
        overlap: Whether the context may hold patches of the targets.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: A range is empty or outside its bounds, or a number is less than 1.
    """

    def __init__(
        self,
        num_targets: int = 4,
        target_scale: Pair = (0.15, 0.2),
        target_aspect: Pair = (0.75, 1.5),
        context_scale: Pair = (0.85, 1.0),
        min_context: int = 11,
        overlap: bool = False,
        patch_size: int = 16,
    ) -> None:
        super().__init__(patch_size)
        for name, (low, high) in (('target_scale', target_scale), ('context_scale', context_scale)):
            if not 0 < low <= high <= 1:
                raise ValueError(f'{name} must be two shares with 0 < smallest <= largest <= 1, got {(low, high)}')
        if not 0 < target_aspect[0] <= target_aspect[1]:
            raise ValueError(f'target_aspect must be two ratios with 0 < smallest <= largest, got {target_aspect}')
        if num_targets < 1 or min_context < 1:
            raise ValueError(f'num_targets and min_context must be at least 1, got {num_targets} and {min_context}')
        self.num_targets = num_targets
        self.target_scale = target_scale
        self.target_aspect = target_aspect
        self.context_scale = context_scale
        self.min_context = min_context
        self.overlap = overlap

    def forward(self, images: Tensor, step: int = 0) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Draws the blocks of every image.

        Args:
            images: (N, 3, H, W).
            step: Number of optimizer steps done, which decides the sizes of the blocks.

        Returns:
            Positions of the patches in the context, (N, K) int64, and in the targets, (N, T, n) int64.

        Raises:
            UserError: The smallest context block of this grid is smaller than ``min_context``, or the grid has a single
                row or column.
        """
        grid = self.grid(images)
        smallest = block_size(grid, self.context_scale, (1.0, 1.0), 0.0)  # of all steps, so that none fails late
        if min(grid) < 2:
            raise UserError(
                f'blocks need at least 2 x 2 patches, and an image has {grid[0]} x {grid[1]}: enlarge the view'
            )
        if math.prod(smallest) < self.min_context:
            raise UserError(
                f'a context block of {smallest[0]} x {smallest[1]} patches, of the {grid[0]} x {grid[1]} of an image, '
                f'has fewer than min_context={self.min_context}: set model.masker.min_context lower'
            )
        target, context = self.block_sizes(grid, random.Random(step))
        options: dict[str, Any] = dict(num_targets=self.num_targets, min_context=self.min_context, overlap=self.overlap)
        drawn = [multi_block_mask(random, grid, target, context, **options) for _ in images]
        shortest = min(len(positions) for positions, _ in drawn)
        contexts = np.stack([positions[:shortest] for positions, _ in drawn])
        targets = np.stack([np.stack(blocks) for _, blocks in drawn])
        return to_device(torch.from_numpy(contexts), images.device), to_device(torch.from_numpy(targets), images.device)

    def block_sizes(self, grid: tuple[int, int], rng: random.Random) -> tuple[tuple[int, int], tuple[int, int]]:
        """Draws rows and columns of the target blocks, then of the context block, one random number each."""
        target = block_size(grid, self.target_scale, self.target_aspect, rng.random())
        return target, block_size(grid, self.context_scale, (1.0, 1.0), rng.random())

    def regions(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the parts of images (N, 3, H, W) that a figure of the masks shows: name -> (N, L) bool."""
        context, targets = self(images)
        rows, columns = self.grid(images)
        nothing = torch.zeros(len(images), rows * columns, dtype=torch.bool, device=images.device)
        parts = {'context': context} | {f'target {i}': block for i, block in enumerate(targets.unbind(1), 1)}
        return {name: nothing.scatter(1, positions, True) for name, positions in parts.items()}

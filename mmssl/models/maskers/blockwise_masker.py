"""Masks made of rectangular blocks."""

from __future__ import annotations

import math
import random
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device
from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS

_ATTEMPTS = 10


def check_min_aspect(min_aspect: float) -> None:
    """Checks the smallest height / width of a block.

    Raises:
        ValueError: ``min_aspect`` lies outside (0, 1].
    """
    if not 0 < min_aspect <= 1:
        raise ValueError(f'min_aspect, the smallest height / width, must lie in (0, 1], got {min_aspect}')


def blockwise_mask(
    rng: random.Random | ModuleType,
    grid: tuple[int, int],
    num_hidden: float,
    min_block: int,
    max_block: float | None = None,
    min_aspect: float = 0.3,
    exact: bool = False,
) -> np.ndarray:
    """Hides blocks until enough patches are hidden (Bao et al., 2022, arXiv:2106.08254, Algorithm 1).

    Blocks are drawn until ``num_hidden`` patches are hidden or ten blocks in a row do not fit, so fewer patches may be
    hidden; ``exact`` draws further blocks then (CAE, arXiv:2202.03026). Numbers are drawn in the order of the official
    code: for each block its area and the logarithm of its aspect ratio; then, if both sides are shorter than those of
    the grid, its top row and its left column.

    Args:
        rng: Random number generator: a ``random.Random`` or the module ``random`` itself.
        grid: Rows and columns of patches.
        num_hidden: Number of patches to hide; iBOT asks for a fraction of a patch, which the last block may not pass.
        min_block: Smallest area that is drawn, in patches; near the end it may exceed the number of patches left to
            hide.
        max_block: Largest area, in patches; with None only the number of patches left to hide bounds the area.
        min_aspect: Smallest height / width of a block; the largest is its inverse.
        exact: Whether exactly ``num_hidden`` patches are hidden.

    Returns:
        The mask, (rows, columns) bool, True = hidden.
    """
    rows, columns = grid
    log_aspect = math.log(min_aspect)
    mask, left_to_hide = np.zeros(grid, dtype=bool), num_hidden
    while left_to_hide > 0:
        most = left_to_hide if max_block is None else min(left_to_hide, max_block)
        for _ in range(_ATTEMPTS):
            area = rng.uniform(min_block, most)
            aspect = math.exp(rng.uniform(log_aspect, -log_aspect))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height >= rows or width >= columns:
                continue
            top, left = rng.randint(0, rows - height), rng.randint(0, columns - width)
            block = mask[top : top + height, left : left + width]
            num_new = block.size - np.count_nonzero(block)
            if 0 < num_new <= most:
                block[:] = True
                left_to_hide -= num_new
                break
        else:
            if not exact:
                break
    return mask


@MASKERS.register_module()
class BlockwiseMasker(Masker):
    """Hides blocks of patches, about the same number of patches in every image (BEiT, MaskFeat, iTPN with CLIP, CAE).

    The blocks are drawn on the CPU from Python's ``random``, in the order of the official code, and the mask is copied
    to the device without synchronisation.

    Args:
        num_hidden: Largest number of hidden patches: 75 of 196 in BEiT, where on average 74.5 are hidden.
        min_block: Smallest area of a block, in patches.
        max_block: Largest area of a block, in patches; None for no bound.
        min_aspect: Smallest height / width of a block, in (0, 1]; the largest is its inverse.
        patch_size: Side of a patch in pixels.
        exact: Whether exactly ``num_hidden`` patches are hidden in every image (CAE).

    Raises:
        ValueError: ``num_hidden`` or ``min_block`` is less than 1, ``max_block`` is less than ``min_block``, or
            ``min_aspect`` lies outside (0, 1].
    """

    def __init__(
        self,
        num_hidden: int = 75,
        min_block: int = 16,
        max_block: int | None = None,
        min_aspect: float = 0.3,
        patch_size: int = 16,
        exact: bool = False,
    ) -> None:
        super().__init__(patch_size)
        if num_hidden < 1 or min_block < 1:
            raise ValueError(f'num_hidden and min_block must be at least 1, got {num_hidden} and {min_block}')
        if max_block is not None and max_block < min_block:
            raise ValueError(f'max_block must be at least min_block={min_block}, or None for no bound, got {max_block}')
        check_min_aspect(min_aspect)
        self.most_hidden, self.varies = num_hidden, not exact
        self.block: dict[str, Any] = dict(min_block=min_block, max_block=max_block, min_aspect=min_aspect, exact=exact)

    def num_hidden(self, num_patches: int) -> int:
        """Returns the largest number of hidden patches of an image with ``num_patches`` patches."""
        return min(self.most_hidden, num_patches)

    def forward(self, images: Tensor) -> Tensor:
        """Draws masks with ``blockwise_mask``; returns (N, L) bool, True = hidden, for images (N, 3, H, W).

        Raises:
            ValueError: An image does not have more patches than the argument ``num_hidden`` of the class, or no block
                fits into it.
        """
        rows, columns = self.grid(images)
        num_patches = rows * columns
        if self.most_hidden >= num_patches:
            raise ValueError(
                f'num_hidden={self.most_hidden} must be less than the {rows} x {columns} patches of an image'
            )
        smallest = min(self.block['min_block'], self.most_hidden)
        # Sides are rounded, and a block must be lower and narrower than the grid: these bound height / width.
        least, most = smallest / (columns - 0.5) ** 2, (rows - 0.5) ** 2 / smallest
        aspect = self.block['min_aspect']
        if min(rows, columns) < 2 or not (least < most and least < 1 / aspect and aspect < most):
            raise ValueError(
                f'no block of {smallest} patches fits into {rows} x {columns} patches: lower model.masker.min_block or '
                'model.masker.min_aspect'
            )
        masks = np.stack([blockwise_mask(random, (rows, columns), self.most_hidden, **self.block) for _ in images])
        return to_device(torch.from_numpy(masks.reshape(len(masks), num_patches)), images.device)

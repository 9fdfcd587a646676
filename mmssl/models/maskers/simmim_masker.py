"""Masks made of large square units."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS


def unit_mask(order: Tensor, num_hidden: int, grid: tuple[int, int], patches: int) -> Tensor:
    """Hides the first units of a permutation (Xie et al., 2022, arXiv:2111.09886, section 3.2).

    Args:
        order: (N, U) int64, one permutation per image of its U units, which are numbered in row-major order.
        num_hidden: Number of hidden units of each image.
        grid: Number of rows and of columns of units; their product is U.
        patches: Side of a unit in patches.

    Returns:
        (N, L) bool, True = hidden, the patches in row-major order, L = U * patches ** 2.
    """
    units = torch.zeros_like(order, dtype=torch.bool).scatter_(1, order[:, :num_hidden], True).unflatten(1, grid)
    return units.repeat_interleave(patches, dim=1).repeat_interleave(patches, dim=2).flatten(1)


@MASKERS.register_module()
class SimMIMMasker(Masker):
    """Hides the same number of square units, larger than patches, in every image (SimMIM).

    Args:
        ratio: Share of hidden units, in (0, 1); ``ceil(ratio * U)`` of U units are hidden, as in the official code.
        unit_size: Side of a unit in pixels, a multiple of ``patch_size``.
        patch_size: Side of a patch of the backbone in pixels: 16 for a ViT, 4 for Swin.

    Raises:
        ValueError: ``ratio`` lies outside (0, 1), or ``unit_size`` is not a positive multiple of ``patch_size``.
    """

    def __init__(self, ratio: float = 0.6, unit_size: int = 32, patch_size: int = 16) -> None:
        super().__init__(patch_size)
        if not 0 < ratio < 1:
            raise ValueError(f'ratio, the share of hidden units, must lie in (0, 1), got {ratio}')
        if unit_size < 1 or unit_size % patch_size:
            raise ValueError(f'unit_size must be a positive multiple of patch_size={patch_size}, got {unit_size}')
        self.ratio = ratio
        self.unit_size = unit_size
        self.patches = unit_size // patch_size

    def num_hidden(self, num_patches: int) -> int:
        """Returns the number of hidden patches of an image with ``num_patches`` patches."""
        return math.ceil(num_patches // self.patches**2 * self.ratio) * self.patches**2

    def forward(self, images: Tensor) -> Tensor:
        """Returns a mask (N, L) bool, True = hidden, for images (N, 3, H, W).

        Raises:
            ValueError: A side of the images is not a multiple of ``unit_size``, or no unit stays visible.
        """
        height, width = images.shape[-2:]
        if height % self.unit_size or width % self.unit_size:
            raise ValueError(
                f'the sides of images must be multiples of unit_size={self.unit_size}, got {height} x {width} pixels'
            )
        self.num_patches(images)
        rows, columns = height // self.unit_size, width // self.unit_size
        order = torch.rand(len(images), rows * columns, device=images.device).argsort(dim=1)
        return unit_mask(order, math.ceil(rows * columns * self.ratio), (rows, columns), self.patches)

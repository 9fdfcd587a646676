"""Coordinates of patches and registers in the unit square, for rotary positions."""

from __future__ import annotations

import torch
from torch import Tensor


def grid_coordinates(grid: tuple[int, int], like: Tensor) -> Tensor:
    """Returns (L, 2), row and column of every patch in [0, 1], first and last at 0 and 1, in row-major order.

    Args:
        grid: Rows and columns of patches.
        like: Tensor with the device and dtype of the result.
    """
    axes = (torch.linspace(0, 1, number, device=like.device, dtype=like.dtype) for number in grid)
    return torch.cartesian_prod(*axes)


def edge_coordinates(number: int) -> Tensor:
    """Returns (R, 2), row and column of R registers at equal distances on the edge of the unit square, float32.

    The first stands at (0, 0). They run down the first column, along the last row, and back.

    Args:
        number: Number of registers R, a multiple of 4.

    Raises:
        ValueError: ``number`` is not a multiple of 4.
    """
    if number % 4:
        raise ValueError(f'registers stand on the four edges of an image, so their number {number} must divide by 4')
    side = number // 4
    along, zeros = torch.arange(side) / max(side, 1), torch.zeros(side)
    rows = torch.cat([along, zeros + 1, 1 - along, zeros])
    columns = torch.cat([zeros, along, zeros + 1, 1 - along])
    return torch.stack([rows, columns], dim=1)

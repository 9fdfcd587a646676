"""Tables of relative positions: indices for pairs of patches, and interpolation for another grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import interpolate

CLS_ROWS = 3
"""Number of rows after those of the patches: class token to patch, patch to class token, class token to itself."""


def num_relative_positions(grid: tuple[int, int]) -> int:
    """Returns the number of differences between the positions of two patches of ``grid`` (rows, columns)."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1)


def relative_index(grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Returns the row of a position table for each query (first axis) and key (second axis), as in BEiT.

    Args:
        grid: Rows and columns of patches.
        device: Device of the result.

    Returns:
        (1 + L, 1 + L) int64, class token first.
    """
    axes = (torch.arange(size, device=device) for size in grid)
    position = torch.cartesian_prod(*axes).view(-1, 2)  # (L, 2): row, column
    offset = torch.tensor(grid, device=device) - 1
    row, column = (position[:, None] - position[None] + offset).unbind(-1)  # (L, L), >= 0
    num_positions = num_relative_positions(grid)
    index = torch.empty(1 + len(position), 1 + len(position), dtype=torch.int64, device=device)
    index[1:, 1:] = row * (2 * grid[1] - 1) + column
    index[0], index[:, 0], index[0, 0] = num_positions, num_positions + 1, num_positions + 2
    return index


def resize_relative_table(table: Tensor, own: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Resizes a table for another grid by the geometric interpolation of BEiT's and SimMIM's official codes.

    The entries of the table are placed at distances 0, 1, 1 + q, 1 + q + q^2, ... from the centre, where q, in [1.01,
    1.5], is chosen so that the last one reaches the border of the new table: near patches keep their resolution, far
    ones are stretched. A cubic spline is evaluated at integer distances. The official codes call
    ``scipy.interpolate.interp2d``, which SciPy has removed. Its spline on a regular grid is the product of two splines
    along the axes, which is computed here.

    Args:
        table: ((2 m_rows - 1) (2 m_columns - 1) + extra, heads); extra rows at the end, for a class token, are kept.
        own: Rows and columns m of the grid of the table.
        grid: Rows and columns n of the grid of the result.

    Returns:
        ((2 n_rows - 1) (2 n_columns - 1) + extra, heads).
    """
    if tuple(own) == tuple(grid):
        return table
    patches, extra = table.tensor_split([num_relative_positions(own)])
    by_row, by_column = (
        torch.as_tensor(_spline_matrix(old, new), dtype=table.dtype, device=table.device) for old, new in zip(own, grid)
    )
    patches = patches.unflatten(0, (2 * own[0] - 1, -1))  # (rows, columns, heads)
    patches = torch.einsum('ar,bc,rch->abh', by_row, by_column, patches)
    return torch.cat([patches.flatten(0, 1), extra])


@lru_cache
def _spline_matrix(old: int, new: int) -> np.ndarray:
    """Returns the matrix (2 new - 1, 2 old - 1) that interpolates the entries along one axis."""
    from scipy.interpolate import make_interp_spline  # here, because this import takes a second and few runs need it

    if old in (new, 1):
        return np.eye(2 * new - 1) if old == new else np.ones((2 * new - 1, 1))
    base = _base(old - 1, new - 1)
    distances = np.cumsum(base ** np.arange(old - 1))
    known = np.concatenate([-distances[::-1], [0.0], distances])
    wanted = np.arange(1 - new, new).clip(known[0], known[-1])
    return make_interp_spline(known, np.eye(2 * old - 1), k=min(3, 2 * old - 2))(wanted)


def _base(num_distances: int, farthest: int) -> float:
    """Returns q with ``1 + q + ... + q ** (num_distances - 1) = farthest``, by bisection in [1.01, 1.5]."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        if (1 - q**num_distances) / (1 - q) > farthest:
            high = q
        else:
            low = q
    return q


def bicubic_relative_table(table: Tensor, own: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Resizes a table for another grid by bicubic interpolation, as iTPN's and HiViT's official codes do.

    Args:
        table: ((2 m_rows - 1) (2 m_columns - 1), heads).
        own: Rows and columns m of the grid of the table.
        grid: Rows and columns n of the grid of the result.

    Returns:
        ((2 n_rows - 1) (2 n_columns - 1), heads).
    """
    if tuple(own) == tuple(grid):
        return table
    old, new = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (own, grid))
    distances = table.T.unflatten(1, old)[None]  # (1, heads, rows, columns)
    return interpolate(distances, new, mode='bicubic').flatten(2)[0].T


def square_grid(table: Tensor, extra: int) -> tuple[int, int]:
    """Returns the rows and columns of the square grid of a table with ``extra`` rows after those of the patches.

    Raises:
        ValueError: The number of rows does not fit a square grid.
    """
    side = math.isqrt(max(len(table) - extra, 0))
    if side % 2 == 0 or side**2 + extra != len(table):
        raise ValueError(f'a table of {len(table)} relative positions does not fit a square grid of patches')
    return (side + 1) // 2, (side + 1) // 2

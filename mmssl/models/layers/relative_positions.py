"""Tables of relative positions: which entry belongs to a pair of patches, and how a table follows another grid."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from torch import Tensor
from torch.nn.functional import interpolate

CLS_ROWS = 3
"""Rows behind those of the patches: class token to patch, patch to class token, class token to itself."""


def num_relative_positions(grid: tuple[int, int]) -> int:
    """Returns the number of differences between the positions of two patches of ``grid`` (rows, columns)."""
    return (2 * grid[0] - 1) * (2 * grid[1] - 1)


def relative_index(grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Which row of a table belongs to a query (first axis) and a key (second axis), as in BEiT.

    Args:
        grid: Rows and columns of patches.
        device: Where it is made.

    Returns:
        (1 + L, 1 + L) int64, class token first.
    """
    axes = (torch.arange(size, device=device) for size in grid)
    position = torch.cartesian_prod(*axes).view(-1, 2)  # (L, 2): row, column
    offset = torch.tensor(grid, device=device) - 1
    row, column = (position[:, None] - position[None] + offset).unbind(-1)  # (L, L), from 0
    num_positions = num_relative_positions(grid)
    index = torch.empty(1 + len(position), 1 + len(position), dtype=torch.int64, device=device)
    index[1:, 1:] = row * (2 * grid[1] - 1) + column
    index[0], index[:, 0], index[0, 0] = num_positions, num_positions + 1, num_positions + 2
    return index


def resize_relative_table(table: Tensor, own: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Table of another grid, by the geometric interpolation of BEiT's and SimMIM's official codes.

    The entries of the table are taken to lie at distances 0, 1, 1 + q, 1 + q + q^2, ... from the centre, where q (1.01
    to 1.5) makes the last one reach the border of the wanted table: near patches keep their resolution, far ones are
    spread. A cubic spline is read at whole distances. The official codes call SciPy's ``interp2d``, which is gone; its
    spline on a regular grid is the product of two splines along the axes, and so it is computed here.

    Args:
        table: ((2 m_rows - 1) (2 m_columns - 1) + extra, heads); extra rows, of a class token, stand last and are kept.
        own: Rows and columns m of the grid that the table is for.
        grid: Rows and columns n of the grid that is wanted.

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
    """Matrix (2 new - 1, 2 old - 1) from the entries along one axis to those of another number of patches."""
    if old in (new, 1):
        return np.eye(2 * new - 1) if old == new else np.ones((2 * new - 1, 1))
    base = _base(old - 1, new - 1)
    distances = np.cumsum(base ** np.arange(old - 1))
    known = np.concatenate([-distances[::-1], [0.0], distances])
    wanted = np.arange(1 - new, new).clip(known[0], known[-1])
    return make_interp_spline(known, np.eye(2 * old - 1), k=min(3, 2 * old - 2))(wanted)


def _base(num_distances: int, farthest: int) -> float:
    """The q whose geometric series of ``num_distances`` terms reaches ``farthest``, by bisection in 1.01 to 1.5."""
    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        if (1 - q**num_distances) / (1 - q) > farthest:
            high = q
        else:
            low = q
    return q


def bicubic_relative_table(table: Tensor, own: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Table of another grid by bicubic interpolation over the distances, as iTPN's and HiViT's official codes load it.

    Args:
        table: ((2 m_rows - 1) (2 m_columns - 1), heads).
        own: Rows and columns m of the grid that the table is for.
        grid: Rows and columns n of the grid that is wanted.

    Returns:
        ((2 n_rows - 1) (2 n_columns - 1), heads).
    """
    if tuple(own) == tuple(grid):
        return table
    old, new = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (own, grid))
    distances = table.T.unflatten(1, old)[None]  # (1, heads, rows, columns)
    return interpolate(distances, new, mode='bicubic').flatten(2)[0].T


def square_grid(table: Tensor, extra: int) -> tuple[int, int]:
    """Returns the grid, taken to be square, of a table with ``extra`` rows behind those of the patches.

    Raises:
        ValueError: The table has the rows of no square grid.
    """
    side = math.isqrt(max(len(table) - extra, 0))
    if side % 2 == 0 or side**2 + extra != len(table):
        raise ValueError(f'a table of {len(table)} relative positions belongs to no square grid of patches')
    return (side + 1) // 2, (side + 1) // 2

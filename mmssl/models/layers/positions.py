"""Tables of 2-D positions: fixed sines and cosines, and how a table follows images of another size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def sincos_positions(
    grid: tuple[int, int], dim: int, first: str = 'row', dtype: torch.dtype = torch.float32, prefix: int = 1
) -> Tensor:
    """Fixed 2-D sine-cosine position table (arXiv:2104.02057, Appendix).

    With ``first='row'`` a patch at (row r, column c) holds [sin(r w), cos(r w), sin(c w), cos(c w)] with
    w_j = 10000^(-4 j / dim), and with ``'column'`` the column's half comes first. MoCo v3 computes the first in
    float32; MAE, HiViT and iTPN compute the second in float64 and round it to float32.

    Args:
        grid: Rows and columns of patches.
        dim: Width D, divisible by 4.
        first: ``'row'`` or ``'column'``: whose sines and cosines fill the first half of the channels.
        dtype: Floating point type of the computation; the table is float32.
        prefix: Number of rows of zeros in front, for the class token.

    Returns:
        (1, prefix + rows * columns, D) float32.

    Raises:
        ValueError: ``dim`` is not divisible by 4, or ``first`` is neither.
    """
    if dim % 4:
        raise ValueError(f'2-D sine-cosine positions need a width divisible by 4, got {dim}')
    if first not in ('row', 'column'):
        raise ValueError(f"first must be 'row' or 'column', got {first!r}")
    axes = torch.meshgrid(*(torch.arange(size, dtype=dtype) for size in grid), indexing='ij')
    frequencies = 1.0 / 10000 ** (torch.arange(dim // 4, dtype=dtype) / (dim // 4))
    angles = [axis.reshape(-1, 1) * frequencies for axis in (axes if first == 'row' else axes[::-1])]
    table = torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)
    return torch.cat([table.new_zeros(prefix, dim), table])[None].float()


def scaled_positions(
    table: Tensor, grid: tuple[int, int], own: tuple[int, int], prefix: int = 1, keep_own: bool = True
) -> Tensor:
    """Position table of another grid as DINO's code makes it (arXiv:2104.14294): bicubic, not antialiased.

    Along an axis of n patches, where the table has m, patch i is read at ``(i + .5) m / (n + .1) - .5``.

    Args:
        table: (1, prefix + m_rows * m_columns, D), class token first.
        grid: Rows and columns n of patches that are wanted.
        own: Rows and columns m of the table.
        prefix: Number of tokens in front that are no patches.
        keep_own: Whether the table stays as it is on its own grid; otherwise it is read at other places there too.

    Returns:
        (1, prefix + n_rows * n_columns, D).
    """
    if keep_own and tuple(grid) == tuple(own):
        return table
    patches = table[:, prefix:].unflatten(1, own).permute(0, 3, 1, 2)  # (1, D, rows, columns)
    scale = [(new + 0.1) / old for new, old in zip(grid, own)]
    patches = interpolate(patches, scale_factor=scale, mode='bicubic')
    return torch.cat([table[:, :prefix], patches.flatten(2).transpose(1, 2)], dim=1)

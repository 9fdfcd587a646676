"""Tables of 2-D positions: sines and cosines, and interpolation for images of another size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate


def sincos_positions(
    grid: tuple[int, int], dim: int, first: str = 'row', dtype: torch.dtype = torch.float32, prefix: int = 1
) -> Tensor:
    """Fixed 2-D sine-cosine position table (arXiv:2104.02057, Appendix).

    With ``first='row'`` the vector of a patch at row r and column c is [sin(r w), cos(r w), sin(c w), cos(c w)] with
    w_j = 10000^(-4 j / dim); with ``'column'`` the column's half comes first. MoCo v3 uses ``'row'``, computed in
    float32; MAE, HiViT and iTPN use ``'column'``, computed in float64 and rounded to float32.

    Args:
        grid: Rows and columns of patches.
        dim: Width D, divisible by 4.
        first: Axis whose sines and cosines fill the first half of the channels: ``'row'`` or ``'column'``.
        dtype: Floating point type of the computation; the table is float32.
        prefix: Number of zero rows before the patches, for class tokens.

    Returns:
        (1, prefix + rows * columns, D) float32.

    Raises:
        ValueError: ``dim`` is not divisible by 4, or ``first`` is unknown.
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
    """Resizes a position table as DINO's code does (arXiv:2104.14294): bicubic, without antialiasing.

    Along an axis of n patches, for which the table has m rows, patch i is interpolated at ``(i + .5) m / (n + .1) -
    .5``.

    Args:
        table: (1, prefix + m_rows * m_columns, D), class token first.
        grid: Rows and columns n of patches of the result.
        own: Rows and columns m of patches of the table.
        prefix: Number of tokens before the patches.
        keep_own: Whether a table for the same grid is returned unchanged; if False it is interpolated by the formula
            above.

    Returns:
        (1, prefix + n_rows * n_columns, D).
    """
    if keep_own and tuple(grid) == tuple(own):
        return table
    patches = table[:, prefix:].unflatten(1, own).permute(0, 3, 1, 2)  # (1, D, rows, columns)
    scale = [(new + 0.1) / old for new, old in zip(grid, own)]
    patches = interpolate(patches, scale_factor=scale, mode='bicubic')
    return torch.cat([table[:, :prefix], patches.flatten(2).transpose(1, 2)], dim=1)


def antialiased_positions(table: Tensor, grid: tuple[int, int], own: tuple[int, int], prefix: int = 1) -> Tensor:
    """Resizes a position table by bicubic interpolation with antialiasing, in at least float32.

    It equals timm's ``resample_abs_pos_embed``, and also computes in float64.

    Args:
        table: (1, prefix + m_rows * m_columns, D), class token first.
        grid: Rows and columns of patches of the result.
        own: Rows and columns m of patches of the table; a table for the same grid is returned unchanged.
        prefix: Number of tokens before the patches.

    Returns:
        (1, prefix + rows * columns, D).
    """
    if tuple(grid) == tuple(own):
        return table
    patches = table[:, prefix:].unflatten(1, own).permute(0, 3, 1, 2)  # (1, D, rows, columns)
    wide = patches if patches.dtype == torch.float64 else patches.float()
    patches = interpolate(wide, size=grid, mode='bicubic', antialias=True).to(table.dtype)
    return torch.cat([table[:, :prefix], patches.flatten(2).transpose(1, 2)], dim=1)

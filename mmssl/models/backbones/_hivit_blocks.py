"""The layers of HiViT and iTPN; their parameters have the names of the official codes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention, silu

Norm = Callable[[int], nn.Module]


class Places(NamedTuple):
    """Where the tokens are that attend to one another."""

    grid: tuple[int, int]
    """Rows and columns of all units."""
    keep: Tensor | None
    """(N, K) int64, the positions of the visible units; None where all are there."""
    index: Tensor
    """``relative_index(grid)`` for these tokens: (L, L), or (N, K, K) for visible ones."""


def find_places(grid: tuple[int, int], keep: Tensor | None, device: torch.device) -> Places:
    """Returns where the tokens of all units of ``grid`` are, or of the visible ones (N, K)."""
    index = relative_index(grid, device)
    if keep is not None:
        index = index[keep.unsqueeze(2), keep.unsqueeze(1)]
    return Places(grid, keep, index)


def relative_index(grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Row of a relative position table that belongs to each pair of positions.

    A query at (row r, column c) and a key at (r', c') take row (r - r' + rows - 1) (2 columns - 1) + c - c' + columns
    - 1.

    Args:
        grid: Number of rows and columns, L = rows * columns positions in row-major order.
        device: Of the result.

    Returns:
        (L, L) int64, of queries and keys.
    """
    rows, columns = grid
    row = torch.arange(rows, device=device).repeat_interleave(columns)
    column = torch.arange(columns, device=device).repeat(rows)
    below, right = row[:, None] - row + rows - 1, column[:, None] - column + columns - 1
    return below * (2 * columns - 1) + right


def resize_table(table: Tensor, grid: tuple[int, int], own: tuple[int, int]) -> Tensor:
    """Relative position table ((2 rows - 1) * (2 columns - 1), heads) of grid ``own`` for another grid, bicubic."""
    if tuple(grid) == tuple(own):
        return table
    old, new = ((2 * rows - 1, 2 * columns - 1) for rows, columns in (own, grid))
    offsets = table.T.unflatten(1, old).unsqueeze(0)  # (1, heads, rows, columns)
    return interpolate(offsets, new, mode='bicubic').flatten(2)[0].T


def axis_scores(queries: Tensor, offsets: Tensor, at: Tensor, size: int) -> Tensor:
    """How much queries like the rows, or the columns, relative to their own (Li et al., 2022, arXiv:2203.16527).

    Args:
        queries: (N, heads, L, D).
        offsets: (2 m - 1, D), one vector for each distance along the axis, resized linearly unless m is ``size``.
        at: (L,) or (N, L), the rows, or columns, of the queries.
        size: Number of rows, or columns.

    Returns:
        (N, heads, L, size).
    """
    if len(offsets) != 2 * size - 1:
        offsets = interpolate(offsets.T[None], 2 * size - 1, mode='linear')[0].T
    scores = queries @ offsets.to(queries.dtype).T  # (N, heads, L, 2 size - 1), for every distance
    index = at.unsqueeze(-1) - torch.arange(size, device=at.device) + size - 1  # (..., L, size), the distance to each
    index = index.unsqueeze(-3) if index.ndim == 3 else index
    return scores.gather(-1, index.expand(*scores.shape[:-1], size))


class Attention(nn.Module):
    """Multi-head self-attention, perhaps with a bias that depends on relative positions.

    Args:
        dim: Width, a multiple of ``num_heads``.
        num_heads: Number of heads.
        grid: Rows and columns of units that the position parameters are made for.
        position_bias: ``'off'``, ``'table'``: one number for each relative position and head, or ``'axis'``: a product
            of the query with one vector for each distance along the rows and one along the columns.
        split: Whether queries, keys and values are projected by three matrices, keys without a bias (Fast-iTPN).
    """

    def __init__(
        self, dim: int, num_heads: int, grid: tuple[int, int], position_bias: str = 'off', split: bool = False
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.grid = grid
        self.split = split
        self.position_bias = position_bias
        if position_bias == 'table':
            num_offsets = (2 * grid[0] - 1) * (2 * grid[1] - 1)
            self.relative_position_bias_table = nn.Parameter(torch.zeros(num_offsets, num_heads))
        elif position_bias == 'axis':
            self.rel_pos_h, self.rel_pos_w = (
                nn.Parameter(nn.init.trunc_normal_(torch.empty(2 * size - 1, dim // num_heads), std=0.02))
                for size in grid
            )
        if split:
            self.q_proj, self.k_proj, self.v_proj = (nn.Linear(dim, dim, bias=False) for _ in range(3))
            self.q_bias, self.v_bias = (nn.Parameter(torch.zeros(dim)) for _ in range(2))
        else:
            self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)

    def forward(self, x: Tensor, places: Places) -> Tensor:
        """Returns (N, L, dim) of tokens ``x`` (N, L, dim) at ``places``."""
        if self.split:
            parts = self.q_proj(x) + self.q_bias, self.k_proj(x), self.v_proj(x) + self.v_bias
        else:
            parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)  # (N, heads, L, D)
        x = scaled_dot_product_attention(q, k, v, attn_mask=self._bias(q, places))
        return self.proj(x.transpose(1, 2).flatten(2))

    def _bias(self, queries: Tensor, places: Places) -> Tensor | None:
        """Returns (heads, L, L) or (N, heads, L, L), or None where attention does not see positions."""
        if self.position_bias == 'off':
            return None
        if self.position_bias == 'table':
            table = resize_table(self.relative_position_bias_table, places.grid, self.grid)
            return table[places.index].movedim(-1, -3).contiguous().to(queries.dtype)
        rows, columns = places.grid
        at = torch.arange(rows * columns, device=queries.device) if places.keep is None else places.keep
        by_row = axis_scores(queries, self.rel_pos_h, at // columns, rows)
        by_column = axis_scores(queries, self.rel_pos_w, at % columns, columns)
        bias = (by_row.unsqueeze(-1) + by_column.unsqueeze(-2)).flatten(-2)  # (N, heads, L, rows * columns)
        if places.keep is None:
            return bias
        return bias.gather(-1, places.keep[:, None, None].expand(*bias.shape[:-1], -1))


class Mlp(nn.Module):
    """Linear layer, GELU, linear layer; with ``norm`` a norm before the second one (Fast-iTPN)."""

    def __init__(self, dim: int, hidden: int, norm: Norm | None = None) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.act = nn.GELU()
        self.ffn_ln = nn.Identity() if norm is None else norm(hidden)
        self.fc2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., dim) of ``x`` (..., dim)."""
        return self.fc2(self.ffn_ln(self.act(self.fc1(x))))


class SwiGLU(nn.Module):
    """``W3 norm(silu(W1 x) * W2 x)``, each with a bias, as in Fast-iTPN and EVA-02 (Fang et al., arXiv:2303.11331)."""

    def __init__(self, dim: int, hidden: int, norm: Norm) -> None:
        super().__init__()
        self.w1 = nn.Linear(dim, hidden)
        self.w2 = nn.Linear(dim, hidden)
        self.ffn_ln = norm(hidden)
        self.w3 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., dim) of ``x`` (..., dim)."""
        return self.w3(self.ffn_ln(silu(self.w1(x)) * self.w2(x)))


class Block(nn.Module):
    """Pre-norm residual block: attention, if it has one, and an MLP, each with layer scale and dropped paths.

    Args:
        dim: Width.
        mlp: What stands for the MLP.
        norm: Makes a norm of a width.
        attention: The attention; None for the blocks of the first stages, which work on each position alone.
        layer_scale: Initial value of the factors of both branches; None has none.
        drop_path: Probability that a branch of an image is left out while training.
    """

    def __init__(
        self,
        dim: int,
        mlp: nn.Module,
        norm: Norm,
        attention: Attention | None = None,
        layer_scale: float | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_parameter('gamma_1', _factors(dim, None if attention is None else layer_scale))
        self.register_parameter('gamma_2', _factors(dim, layer_scale))
        self.norm1 = None if attention is None else norm(dim)
        self.attn = attention
        self.norm2 = norm(dim)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, places: Places | None = None) -> Tensor:
        """Returns the shape of ``x``: (..., dim), or (N, L, dim) at ``places`` where there is attention."""
        if self.attn is not None:
            x = x + self.drop_path(_scaled(self.attn(self.norm1(x), places), self.gamma_1))
        return x + self.drop_path(_scaled(self.mlp(self.norm2(x)), self.gamma_2))


def _factors(dim: int, value: float | None) -> nn.Parameter | None:
    return None if value is None else nn.Parameter(torch.full((dim,), float(value)))


def _scaled(x: Tensor, factors: Tensor | None) -> Tensor:
    return x if factors is None else x * factors


class PatchEmbed(nn.Module):
    """Convolution of cells that do not overlap, grouped by the unit of 4 x 4 cells that they belong to.

    Args:
        dim: Width C of a cell.
        stride: Side of a cell in pixels; a unit has four times this.
        norm: Makes a norm of a width; None has none (Fast-iTPN).
    """

    def __init__(self, dim: int, stride: int, norm: Norm | None) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, stride, stride)
        self.norm = nn.Identity() if norm is None else norm(dim)

    def forward(self, images: Tensor) -> Tensor:
        """Returns units (N, L, 4, 4, C) of images (N, 3, H, W), units and cells in row-major order."""
        cells = self.proj(images).unflatten(3, (-1, 4)).unflatten(2, (-1, 4))  # (N, C, rows, 4, columns, 4)
        return self.norm(cells.permute(0, 2, 4, 3, 5, 1).flatten(1, 2))


class PatchMerge(nn.Module):
    """Makes one position of 2 x 2 neighbours and doubles the width.

    Args:
        dim: Width C before.
        norm: Makes a norm of a width.
        joint: Whether the norm is that of the four together, and the linear layer has no bias; otherwise it is that of
            each, and there is a bias (Fast-iTPN).
    """

    def __init__(self, dim: int, norm: Norm, joint: bool = True) -> None:
        super().__init__()
        self.joint = joint
        self.norm = norm(4 * dim if joint else dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=not joint)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., rows / 2, columns / 2, 2 C) of ``x`` (..., rows, columns, C)."""
        x = x if self.joint else self.norm(x)
        # The column of neighbours on the left from top to bottom, then the one on the right.
        x = torch.cat([x[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)], dim=-1)
        return self.reduction(self.norm(x) if self.joint else x)


class PatchSplit(nn.Module):
    """Makes 2 x 2 positions of one: a norm, a linear layer, and its output in four parts in row-major order.

    Args:
        dim: Width C before.
        out_channels: Width D of each of the four.
        norm: Makes a norm of a width.
    """

    def __init__(self, dim: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(dim)
        self.reduction = nn.Linear(dim, 4 * out_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., 2 rows, 2 columns, D) of ``x`` (..., rows, columns, C)."""
        x = self.reduction(self.norm(x)).unflatten(-1, (2, 2, -1))  # (..., rows, columns, 2, 2, D)
        return x.transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)

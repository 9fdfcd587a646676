"""The layers of HiViT and iTPN; their parameters have the names of the official codes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from timm.layers import DropPath
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

from mmssl.models.layers.grid_attention import attend_by_axis, resize_offsets
from mmssl.models.layers.relative_positions import (
    bicubic_relative_table,
    num_relative_positions,
    relative_index,
)
from mmssl.models.layers.windows import from_windows, to_windows

Norm = Callable[[int], nn.Module]


class Places(NamedTuple):
    """The positions of the tokens that take part in an attention."""

    grid: tuple[int, int]
    """Rows and columns of all units."""
    keep: Tensor | None
    """(N, K) int64, the positions of the visible units; None if all units are present."""
    pairs: Tensor | None
    """(L, L), or (N, K, K) for visible units: row of the position table for query and key; None without a table."""


def axis_scores_at(queries: Tensor, offsets: Tensor, at: Tensor, size: int) -> Tensor:
    """Returns the products of queries with the vectors of rows, or columns, relative to their own (arXiv:2203.16527).

    Args:
        queries: (N, heads, L, D), queries of the attention.
        offsets: (2 m - 1, D), one vector for each distance along the axis; resized linearly if m is not ``size``.
        at: (N, L) or (1, L) int64, the row, or column, of each query.
        size: Number of rows, or columns.

    Returns:
        (N, heads, L, size).
    """
    offsets = resize_offsets(offsets, 2 * size - 1)
    scores = queries @ offsets.to(queries.dtype).T  # (N, heads, L, 2 size - 1), for every distance
    distances = at[:, None, :, None] - torch.arange(size, device=at.device) + size - 1
    return scores.gather(-1, distances.expand(*scores.shape[:-1], size))


class Attention(nn.Module):
    """Multi-head self-attention, optionally with a bias that depends on relative positions.

    If ``window_size`` is set, which needs ``position_bias='off'``, tokens attend within windows of this side. Zero
    tokens, which take part in the attention, pad the last windows.

    Args:
        dim: Width of a token, a multiple of ``num_heads``.
        num_heads: Number of heads.
        grid: Rows and columns of units for which the position parameters are built.
        position_bias: Bias of the scores: ``'off'`` for none; ``'table'`` for one number per relative position and
            head; ``'axis'`` for products of the query with one vector per distance along the rows and one along the
            columns.
        split: Whether queries, keys and values have three separate projections, of which that of the keys has no bias
            (Fast-iTPN).
    """

    def __init__(
        self, dim: int, num_heads: int, grid: tuple[int, int], position_bias: str = 'off', split: bool = False
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.grid = grid
        self.split = split
        self.position_bias = position_bias
        self.window_size = 0
        if position_bias == 'table':
            self.relative_position_bias_table = nn.Parameter(torch.zeros(num_relative_positions(grid), num_heads))
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
        """Returns tokens (N, L, dim) for tokens ``x`` (N, L, dim) at ``places``."""
        if not self.window_size:
            return self._attend(x, places)
        windows = to_windows(x.unflatten(1, places.grid), self.window_size)
        attended = self._attend(windows.flatten(1, 2), places).view_as(windows)
        return from_windows(attended, places.grid).flatten(1, 2)

    def _attend(self, x: Tensor, places: Places) -> Tensor:
        if self.split:
            parts = self.q_proj(x) + self.q_bias, self.k_proj(x), self.v_proj(x) + self.v_bias
        else:
            parts = self.qkv(x).chunk(3, dim=-1)
        q, k, v = (part.unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for part in parts)  # (N, heads, L, D)
        if self.position_bias == 'axis':
            x = self._attend_by_axis(q, k, v, places)
        else:
            x = scaled_dot_product_attention(q, k, v, attn_mask=self._bias(places, q.dtype))
        return self.proj(x.transpose(1, 2).flatten(2))

    def _bias(self, places: Places, dtype: torch.dtype) -> Tensor | None:
        """Returns the bias (heads, L, L), or (N, heads, K, K) for visible units; None with ``position_bias='off'``."""
        if self.position_bias == 'off':
            return None
        table = bicubic_relative_table(self.relative_position_bias_table, self.grid, places.grid)
        return table[places.pairs].movedim(-1, -3).contiguous().to(dtype)

    def _attend_by_axis(self, q: Tensor, k: Tensor, v: Tensor, places: Places) -> Tensor:
        rows, columns = places.grid
        at = torch.arange(rows * columns, device=q.device)[None] if places.keep is None else places.keep
        of_rows = axis_scores_at(q, self.rel_pos_h, at // columns, rows)
        of_columns = axis_scores_at(q, self.rel_pos_w, at % columns, columns)
        return attend_by_axis(q, k, v, of_rows, of_columns, at)


class Mlp(nn.Module):
    """Linear layer, GELU, linear layer; with ``norm`` a norm precedes the second linear layer (Fast-iTPN)."""

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
    """Pre-norm residual block: optional attention and an MLP, each with layer scale and stochastic depth.

    Args:
        dim: Width of a token.
        mlp: The MLP, such as ``Mlp`` or ``SwiGLU``.
        norm: Function: width -> norm.
        attention: The attention; None for the blocks of the first stages, which compute each position separately.
        layer_scale: Initial value of the factors of both branches; None means no factors.
        drop_path: Probability that a branch is skipped for an image in training.
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
        self.gamma_1 = None if attention is None else _factors(dim, layer_scale)
        self.gamma_2 = _factors(dim, layer_scale)
        self.norm1 = nn.Identity() if attention is None else norm(dim)
        self.attn = attention
        self.norm2 = norm(dim)
        self.mlp = mlp
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, places: Places | None = None) -> Tensor:
        """Returns tokens of the shape of ``x``: (..., dim), or with attention (N, L, dim) at ``places``."""
        if self.attn is not None:
            x = x + self.drop_path(_scaled(self.attn(self.norm1(x), places), self.gamma_1))
        return x + self.drop_path(_scaled(self.mlp(self.norm2(x)), self.gamma_2))


def _factors(dim: int, value: float | None) -> nn.Parameter | None:
    return None if value is None else nn.Parameter(torch.full((dim,), float(value)))


def _scaled(x: Tensor, factors: Tensor | None) -> Tensor:
    return x if factors is None else x * factors


class PatchEmbed(nn.Module):
    """Convolution on cells that do not overlap; the cells are grouped into units of 4 x 4.

    Args:
        dim: Width C of a cell.
        stride: Side of a cell in pixels; the side of a unit is four times this.
        norm: Function: width -> norm; None means no norm (Fast-iTPN).
    """

    def __init__(self, dim: int, stride: int, norm: Norm | None) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, dim, stride, stride)
        self.norm = nn.Identity() if norm is None else norm(dim)

    def forward(self, images: Tensor) -> Tensor:
        """Returns units (N, L, 4, 4, C) for images (N, 3, H, W), units and cells in row-major order."""
        cells = self.proj(images).unflatten(3, (-1, 4)).unflatten(2, (-1, 4))  # (N, C, rows, 4, columns, 4)
        return self.norm(cells.permute(0, 2, 4, 3, 5, 1).flatten(1, 2))


class PatchMerge(nn.Module):
    """Merges 2 x 2 positions into one of twice the width.

    Args:
        dim: Width C of the input.
        norm: Function: width -> norm.
        joint: Whether the norm normalises the four positions together and the linear layer has no bias. If False, each
            position is normalised separately and the linear layer has a bias (Fast-iTPN).
    """

    def __init__(self, dim: int, norm: Norm, joint: bool = True) -> None:
        super().__init__()
        self.joint = joint
        self.norm = norm(4 * dim if joint else dim)
        self.reduction = nn.Linear(4 * dim, 2 * dim, bias=not joint)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., rows / 2, columns / 2, 2 C) for ``x`` (..., rows, columns, C)."""
        x = x if self.joint else self.norm(x)
        # Order of the four positions: left column from top to bottom, then right column.
        x = torch.cat([x[..., row::2, column::2, :] for column in (0, 1) for row in (0, 1)], dim=-1)
        return self.reduction(self.norm(x) if self.joint else x)


class PatchSplit(nn.Module):
    """Splits one position into 2 x 2: a norm, and a linear layer whose output is cut into four in row-major order.

    Args:
        dim: Width C of the input.
        out_channels: Width D of each of the four positions.
        norm: Function: width -> norm.
    """

    def __init__(self, dim: int, out_channels: int, norm: Norm) -> None:
        super().__init__()
        self.norm = norm(dim)
        self.reduction = nn.Linear(dim, 4 * out_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., 2 rows, 2 columns, D) for ``x`` (..., rows, columns, C)."""
        x = self.reduction(self.norm(x)).unflatten(-1, (2, 2, -1))  # (..., rows, columns, 2, 2, D)
        return x.transpose(-4, -3).flatten(-3, -2).flatten(-4, -3)


def attention_block(
    dim: int,
    num_heads: int,
    grid: tuple[int, int],
    position_bias: str,
    layer_scale: float | None,
    drop_path: float,
    eps: float = 1e-6,
    mlp_ratio: float = 4.0,
    fast: bool = False,
) -> Block:
    """Builds a block of stage 3; arguments as in ``HiViT``."""
    norm: Any = partial(nn.LayerNorm, eps=eps)
    attention = Attention(dim, num_heads, grid, position_bias, split=fast)
    hidden = int(dim * mlp_ratio)
    mlp = SwiGLU(dim, hidden, norm) if fast else Mlp(dim, hidden)
    return Block(dim, mlp, norm, attention, layer_scale, drop_path)


def pair_index(grid: tuple[int, int], device: torch.device | None = None) -> Tensor:
    """Returns (L, L) int64: the row of a position table for each query and key, without class token."""
    return relative_index(grid, device)[1:, 1:].contiguous()

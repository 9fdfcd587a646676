"""Attention between the tokens of a grid, global or in windows, with or without relative positions."""

from __future__ import annotations

import torch
from timm.layers import Attention
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot, pad, scaled_dot_product_attention

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.models.layers.windows import from_windows, to_windows


class GridAttention(Attention):
    """timm's attention on a grid of tokens, global or in windows, as in ViTDet (arXiv:2203.16527).

    A grid that is not a multiple of the window is padded with zero tokens. They take part in the attention; their keys
    and values are the biases of the layer, as in ViTDet. Relative positions are decomposed by axis: for a query q at
    row r and column c and a key at (r', c')::

        score = q . k / sqrt(d) + q . rel_pos_h[r - r'] + q . rel_pos_w[c - c']

    ``rel_pos_h`` and ``rel_pos_w`` are initialised with 0, keep their values if a checkpoint does not have them, and
    are resized linearly for another grid.

    Args:
        dim: Width D of a token.
        num_heads: Number of heads.
        window_size: Side of a window in tokens; 0 means global attention.
        relative_size: Side of the grid for which relative positions are learned; with windows they are learned for the
            window instead. 0 means no relative positions.
        qkv_bias: Whether queries, keys and values have a bias.
    """

    def __init__(
        self, dim: int, num_heads: int, window_size: int = 0, relative_size: int = 0, qkv_bias: bool = False
    ) -> None:
        super().__init__(dim, num_heads, qkv_bias=qkv_bias)
        self.window_size = window_size
        self.rel_pos_h = self.rel_pos_w = None
        if relative_size:
            number = 2 * (window_size or relative_size) - 1
            self.rel_pos_h, self.rel_pos_w = (nn.Parameter(torch.zeros(number, self.head_dim)) for _ in range(2))
            adapt_on_load(self, _adapt_loaded_positions)

    def forward(self, x: Tensor, attn_mask: Tensor | None = None, is_causal: bool = False) -> Tensor:
        """Returns tokens of the shape of ``x``, (N, rows, columns, D); masks are not supported."""
        assert attn_mask is None and not is_causal
        if not self.window_size:
            return self._attend(x)
        return from_windows(self._attend(to_windows(x, self.window_size)), (x.shape[1], x.shape[2]))

    def _attend(self, x: Tensor) -> Tensor:
        rows, columns = x.shape[1:3]
        qkv = self.qkv(x.flatten(1, 2)).unflatten(-1, (3, self.num_heads, -1))  # (N, L, 3, heads, d)
        q, k, v = qkv.permute(2, 0, 3, 1, 4).unbind()
        if self.rel_pos_h is None or self.rel_pos_w is None:
            x = scaled_dot_product_attention(q, k, v)
        else:
            by_axis = grid_axis_scores(q.unflatten(2, (rows, columns)), self.rel_pos_h, self.rel_pos_w)
            x = attend_by_axis(q, k, v, *by_axis)
        return self.proj(x.transpose(1, 2).flatten(2)).unflatten(1, (rows, columns))


def grid_axis_scores(queries: Tensor, by_row: Tensor, by_column: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the scores from relative positions that are added to keys in each row and in each column.

    The queries fill the grid; see ``axis_scores_at`` for queries at some places of a grid.

    Args:
        queries: (N, heads, rows, columns, d), queries on the grid.
        by_row: (2 m - 1, d), one vector per distance r - r' along the rows from 1 - m to m - 1, resized linearly to the
            number of rows.
        by_column: (2 m' - 1, d), one vector per distance c - c' along the columns, resized in the same way.

    Returns:
        Scores (N, heads, L, rows) and (N, heads, L, columns) for the L = rows * columns queries.
    """
    rows, columns = queries.shape[2:4]
    row_vectors, column_vectors = _vectors(by_row, rows), _vectors(by_column, columns)
    of_rows = torch.einsum('nhrcd,rkd->nhrck', queries, row_vectors.to(queries.dtype))
    of_columns = torch.einsum('nhrcd,ckd->nhrck', queries, column_vectors.to(queries.dtype))
    return of_rows.flatten(2, 3), of_columns.flatten(2, 3)


def attend_by_axis(
    q: Tensor, k: Tensor, v: Tensor, of_rows: Tensor, of_columns: Tensor, place: Tensor | None = None
) -> Tensor:
    """Attention with a bias that is a sum over the two axes, without an L x L matrix.

    The bias of query i and key j is ``of_rows[i, row of j] + of_columns[i, column of j]``. This is the inner product of
    the vectors ``of_rows[i]``, ``of_columns[i]`` with one-hot vectors of the row and column of j. The vectors are
    appended to queries and keys, so that attention needs no mask: fused kernels can be used, and memory grows with L (d
    + rows + columns).

    Args:
        q: (N, heads, L, d), queries.
        k: (N, heads, L, d), keys.
        v: (N, heads, L, d), values.
        of_rows: (N, heads, L, rows), bias of each query for the keys in each row.
        of_columns: (N, heads, L, columns), bias of each query for the keys in each column.
        place: (N, L) int64, positions of the keys in the grid, in row-major order; None if the keys fill the grid.

    Returns:
        (N, heads, L, d).
    """
    rows, columns, width = of_rows.shape[-1], of_columns.shape[-1], q.shape[-1]
    place = torch.arange(rows * columns, device=k.device)[None] if place is None else place
    which = torch.cat([one_hot(place // columns, rows), one_hot(place % columns, columns)], dim=-1).unsqueeze(1)
    spare = -(width + rows + columns) % 8  # fused kernels need widths that are multiples of 8
    q = pad(torch.cat([q * width**-0.5, of_rows, of_columns], dim=-1), (0, spare))
    k = pad(torch.cat([k, which.to(k.dtype).expand(*k.shape[:2], -1, -1)], dim=-1), (0, spare))
    v = pad(v, (0, rows + columns + spare))  # as wide as the keys, for the fused kernels
    return scaled_dot_product_attention(q, k, v, scale=1.0)[..., :width]


def _vectors(offsets: Tensor, size: int) -> Tensor:
    """Returns (size, size, d): for each query and key along an axis the vector of their distance."""
    offsets = resize_offsets(offsets, 2 * size - 1)
    place = torch.arange(size, device=offsets.device)
    return offsets[place[:, None] - place + size - 1]


def resize_offsets(offsets: Tensor, number: int) -> Tensor:
    """Returns vectors of ``number`` distances, (number, d), interpolated linearly between ``offsets`` (m, d)."""
    if len(offsets) == number:
        return offsets
    return interpolate(offsets.T[None], number, mode='linear')[0].T


def _adapt_loaded_positions(module: GridAttention, state_dict: dict, prefix: str, *args: object) -> None:
    """Resizes the relative positions of a checkpoint; if it has none, those of ``module`` are kept."""
    for name in ('rel_pos_h', 'rel_pos_w'):
        own = module.get_parameter(name)
        loaded = state_dict.get(prefix + name, own.detach())
        state_dict[prefix + name] = resize_offsets(loaded, len(own))

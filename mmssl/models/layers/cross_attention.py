"""Attention from one set of tokens to another, as in CAE (arXiv:2202.03026)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention


class CrossAttention(nn.Module):
    """Multi-head attention with separate inputs for queries, keys and values; the keys have no bias.

    Args:
        dim: Width D of a token.
        num_heads: Number of attention heads, a divisor of ``dim``.
    """

    def __init__(self, dim: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k, self.v = (nn.Linear(dim, dim, bias=False) for _ in range(3))
        self.q_bias = nn.Parameter(torch.zeros(dim))
        self.v_bias = nn.Parameter(torch.zeros(dim))
        self.proj = nn.Linear(dim, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Returns (N, Q, D) for queries (N, Q, D) and keys and values (N, K, D)."""
        projected = (linear(query, self.q.weight, self.q_bias), self.k(key), linear(value, self.v.weight, self.v_bias))
        heads = (x.unflatten(2, (self.num_heads, -1)).transpose(1, 2) for x in projected)
        return self.proj(scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))

"""Attention whose queries and keys are rotated by their positions, as in CAPI (arXiv:2502.08769)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from mmssl.models.losses.numerics import in_full_precision

_HIGHEST, _LOWEST = 7, 7e-4  # periods of a channel per side of the image


def rotary_frequencies(head_dim: int) -> Tensor:
    """Returns (2, head_dim), the angle in radians per side of the image of every channel, for rows and for columns.

    The first half of the channels turns with the row and the second half with the column. Each half holds the same
    frequencies twice, a geometric sequence.

    Args:
        head_dim: Width of an attention head, a multiple of 4.

    Raises:
        ValueError: ``head_dim`` is not a multiple of 4.
    """
    if head_dim % 4:
        raise ValueError(f'the width of an attention head must be a multiple of 4, got {head_dim}')
    periods = _HIGHEST * (_HIGHEST / _LOWEST) ** torch.linspace(0, -1, head_dim // 4)
    row, column = torch.zeros(2, 2, head_dim // 2).unbind()
    row[0] = column[1] = periods.repeat(2)
    return torch.cat([row, column], dim=1) * 2 * math.pi


@in_full_precision
def rotary_angles(places: Tensor, frequencies: Tensor) -> Tensor:
    """Returns the angles (N, T, head_dim) in radians of places (N, T, 2) for frequencies (2, head_dim)."""
    return places[..., :1] * frequencies[0] + places[..., 1:] * frequencies[1]


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turns channel c against channel c + head_dim / 2, each by its own angle.

    One of the two turns with the row and the other with the column, so this is not a rotation of the pair. The official
    code computes this, and its released weights need it.

    Args:
        x: (N, heads, T, head_dim), queries or keys.
        angles: (N, T, head_dim) in radians.

    Returns:
        (N, heads, T, head_dim), dtype of ``x``.
    """
    first, second = x.chunk(2, dim=-1)
    angles = angles.unsqueeze(1)
    return x * angles.cos().to(x.dtype) + torch.cat([-second, first], dim=-1) * angles.sin().to(x.dtype)


class RotaryAttention(nn.Module):
    """Multi-head attention without biases and with rotary positions, within tokens or to a context.

    The frequencies are a parameter that does not train, as in the official code, whose learning rate of them is 0.

    Args:
        dim: Width D of a token.
        num_heads: Number of attention heads, a divisor of ``dim``.
        context_dim: Width of the tokens of a context; None means D.
    """

    def __init__(self, dim: int, num_heads: int, context_dim: int | None = None) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(dim, dim, bias=False)
        self.k, self.v = (nn.Linear(context_dim or dim, dim, bias=False) for _ in range(2))
        self.proj = nn.Linear(dim, dim, bias=False)
        self.frequencies = nn.Parameter(rotary_frequencies(dim // num_heads), requires_grad=False)

    def forward(
        self, x: Tensor, places: Tensor, context: Tensor | None = None, context_places: Tensor | None = None
    ) -> Tensor:
        """Returns (N, T, D).

        Args:
            x: (N, T, D), tokens of the queries.
            places: (N, T, 2), their rows and columns in [0, 1].
            context: (N, S, context_dim), tokens of the keys and values; None takes ``x``.
            context_places: (N, S, 2), rows and columns of the context.
        """
        angles = rotary_angles(places, self.frequencies)
        context_angles = angles
        if context is None:
            context = x
        elif context_places is not None:
            context_angles = rotary_angles(context_places, self.frequencies)
        query, key = rotate(self._heads(self.q(x)), angles), rotate(self._heads(self.k(context)), context_angles)
        x = scaled_dot_product_attention(query, key, self._heads(self.v(context)))
        return self.proj(x.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.num_heads, -1)).transpose(1, 2)

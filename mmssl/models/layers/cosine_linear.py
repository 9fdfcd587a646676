"""A linear layer of directions, as in CAPI's prediction of clusters (arXiv:2502.08769)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

_LENGTH_EPS = 1e-8  # added to the lengths of directions, as in the official code


class CosineLinear(nn.Module):
    """Output c is ``gain_c * cos(x, direction_c)``.

    It is torch's weight norm behind a normalisation of the input, except for the 1e-8 that the official code adds to
    the length of a direction.

    Args:
        in_channels: Width D of the input.
        out_channels: Number of outputs C.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(out_channels, 1))
        self.direction = nn.Parameter(nn.init.trunc_normal_(torch.empty(out_channels, in_channels), std=0.02))

    def forward(self, x: Tensor) -> Tensor:
        """Returns (..., C) for vectors (..., D)."""
        weight = self.direction * (self.gain / (self.direction.norm(dim=1, keepdim=True) + _LENGTH_EPS))
        return linear(normalize(x, dim=-1), weight)

"""The deterministic tensors for which closed-form values of losses are known."""

from __future__ import annotations

import torch
from torch import Tensor


def wave(function: str, scale: float = 1.0, rows: int = 4, columns: int = 8) -> Tensor:
    """Returns ``function(0.1 * scale * (i * columns + j + 1))`` at row i and column j, (rows, columns) float64.

    Args:
        function: ``'sin'`` or ``'cos'``.
        scale: Factor of the function's argument.
        rows: Number of rows.
        columns: Number of columns.
    """
    steps = torch.arange(1, rows * columns + 1, dtype=torch.float64).view(rows, columns)
    return getattr(torch, function)(0.1 * scale * steps)


A, B, C, E = wave('sin'), wave('cos'), wave('sin', 1.7), wave('cos', 1.7)

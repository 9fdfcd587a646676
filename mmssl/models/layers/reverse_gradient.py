"""Gradient reversal: one backward pass for two networks with opposite objectives."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def reverse_gradient(x: Tensor, weight: float = 1.0) -> Tensor:
    """Returns ``x`` unchanged; its gradient is multiplied by ``-weight`` (Ganin and Lempitsky, 2015, arXiv:1409.7495).

    Layers after this operation minimise a loss; layers before it maximise ``weight`` times that loss.

    Args:
        x: Tensor of any shape.
        weight: Weight of the loss in the objective of the layers before, >= 0.
    """
    return _Reverse.apply(x, weight)


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient * -ctx.weight, None

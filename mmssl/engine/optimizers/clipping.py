"""Clipping of gradients."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_each_norm_(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Bounds the gradient of each tensor on its own: ``g *= min(1, max_norm / (|g| + 1e-6))``.

    DINO does so (arXiv:2104.14294, official code), where ``clip_grad_norm_`` bounds all tensors by one factor.

    Args:
        parameters: Their gradients are changed in place; those without are left out.
        max_norm: Bound of the Euclidean norm of each gradient, > 0.

    Returns:
        The norm of all gradients together before the clipping, a scalar.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack(torch._foreach_norm(grads))
    factors = (max_norm / (norms + 1e-6)).clamp(max=1)
    torch._foreach_mul_(grads, list(factors.unbind()))
    return torch.linalg.vector_norm(norms)

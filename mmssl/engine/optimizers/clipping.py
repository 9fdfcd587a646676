"""Gradient clipping per tensor."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


@torch.no_grad()
def clip_each_norm_(parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Clips the gradient of each tensor separately: ``g *= min(1, max_norm / (|g| + 1e-6))``.

    This is the clipping of DINO's official code (arXiv:2104.14294). ``torch.nn.utils.clip_grad_norm_`` instead scales
    all gradients by one factor.

    Args:
        parameters: Parameters whose gradients are changed in place; parameters without a gradient are skipped.
        max_norm: Largest Euclidean norm of each gradient > 0.

    Returns:
        Norm of all gradients together before clipping, a scalar.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    norms = torch.stack(torch._foreach_norm(grads))
    factors = (max_norm / (norms + 1e-6)).clamp(max=1)
    torch._foreach_mul_(grads, list(factors.unbind()))
    return torch.linalg.vector_norm(norms)

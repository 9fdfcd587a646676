"""Gradient clipping per tensor and per part of a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from mmssl.distributed.shards import local_shards, norms


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
    each = norms(grads)
    factors = (max_norm / (each + 1e-6)).clamp(max=1)
    torch._foreach_mul_(local_shards(grads), list(factors.unbind()))
    return torch.linalg.vector_norm(each)


@torch.no_grad()
def clip_parts_(parts: Sequence[Sequence[Tensor]], parameters: Iterable[Tensor], max_norm: float) -> Tensor:
    """Clips the gradients of each part of a model together, as DINOv2 does with backbone and heads.

    Args:
        parts: Parameters of each part; those without a gradient are skipped.
        parameters: Parameters whose gradients are changed in place, all of which are in a part.
        max_norm: Largest Euclidean norm of the gradients of a part, > 0.

    Returns:
        Norm of all gradients together before clipping, a scalar.
    """
    grads = [p.grad for p in parameters if p.grad is not None]
    norm = torch.nn.utils.get_total_norm(grads)
    for part in parts:
        torch.nn.utils.clip_grad_norm_(part, max_norm)
    return norm


def split_parts(model: nn.Module, parts: Sequence[str | Sequence[str]]) -> list[list[Tensor]]:
    """Returns the trainable parameters of each part of a model.

    Args:
        model: Model.
        parts: Beginnings of the names of the parameters of each part: one, or a list of them.

    Raises:
        ValueError: A parameter belongs to no part, or a part has no parameter.
    """
    beginnings = [(part,) if isinstance(part, str) else tuple(part) for part in parts]
    split: list[list[Tensor]] = [[] for _ in beginnings]
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        fitting = [own for own, part in zip(split, beginnings) if any(f'{name}.'.startswith(f'{b}.') for b in part)]
        if len(fitting) != 1:
            raise ValueError(f'{name} must belong to one part of clip_grad.parts={list(parts)}, not to {len(fitting)}')
        fitting[0].append(parameter)
    if empty := [part for part, own in zip(parts, split) if not own]:
        raise ValueError(f'no trainable parameter begins with {empty[0]!r}, a part of clip_grad.parts')
    return split

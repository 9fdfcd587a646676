"""Collectives that carry gradient.

A loss over a global batch is correct when N processes with B / N images give the loss and the gradient of one process
with B. DDP averages gradients over processes, so a loss that is the mean over local anchors needs a gather whose
backward sums what every process contributes to a row: that is ``gather`` here, and nothing else is used for a loss.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Number of processes, 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Rank of this process, 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather(tensor: Tensor) -> Tensor:
    """Concatenates ``tensor`` of every process along dimension 0, in rank order, with gradient.

    The backward pass sums the gradients that all processes hold for a row and returns this process's rows, so the
    average that DDP takes afterwards is the gradient of the mean of the local losses.

    Args:
        tensor: (N, ...), the same shape on every process.

    Returns:
        (M, ...) with M = N * number of processes; ``tensor`` itself when there is one process.
    """
    return tensor if world_size() == 1 else _Gather.apply(tensor)


@torch.no_grad()
def gather_constant(tensor: Tensor) -> Tensor:
    """Concatenates ``tensor`` of every process along dimension 0, in rank order, without gradient.

    Args:
        tensor: (N, ...), the same shape on every process.

    Returns:
        (M, ...) detached.
    """
    if world_size() == 1:
        return tensor.detach()
    tensor = tensor.detach().contiguous()
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts)


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Sums ``tensor`` over processes, with gradient (the backward pass sums as well).

    Args:
        tensor: Any shape, the same on every process.
    """
    return tensor if world_size() == 1 else _Sum.apply(tensor)


@torch.no_grad()
def max_over_processes(tensor: Tensor) -> Tensor:
    """Takes the largest value over processes of every entry of ``tensor``, without gradient.

    Args:
        tensor: Any shape, the same on every process.
    """
    if world_size() == 1:
        return tensor.detach()
    largest = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return gather_constant(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient).chunk(world_size())[rank()]  # differentiable again, as gradients may be in a loss


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return _sum_constant(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient)


def _sum_constant(tensor: Tensor) -> Tensor:
    total = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(total)
    return total

"""Collectives that carry gradient.

A loss over a global batch is correct if N processes with B / N images give the loss and the gradient of one process
with B images. DDP averages gradients over processes. Therefore a loss that is the mean over local anchors needs a
gather whose backward pass sums the gradients of all processes for each row. This is ``gather``; losses must not use
another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


def world_size() -> int:
    """Returns the number of processes; 1 without a process group."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Returns the rank of this process; 0 without a process group."""
    return dist.get_rank() if dist.is_available() and dist.is_initialized() else 0


def gather(tensor: Tensor) -> Tensor:
    """Concatenates ``tensor`` of every process along dimension 0, in rank order, with gradient.

    The backward pass sums the gradients of all processes for each row and returns the rows of this process. The average
    that DDP computes afterwards is then the gradient of the mean of the local losses.

    Args:
        tensor: (N, ...), the same shape on every process.

    Returns:
        (M, ...) with M = N * number of processes; ``tensor`` itself if there is one process.
    """
    return tensor if world_size() == 1 else _Gather.apply(tensor)


@torch.no_grad()
def gather_constant(tensor: Tensor) -> Tensor:
    """Concatenates ``tensor`` of every process along dimension 0, in rank order, without gradient.

    Args:
        tensor: (N, ...), the same shape on every process.

    Returns:
        (M, ...), detached.
    """
    if world_size() == 1:
        return tensor.detach()
    tensor = tensor.detach().contiguous()
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts)


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Sums ``tensor`` over processes, with gradient; the backward pass sums the gradients too.

    Args:
        tensor: Tensor of any shape, which must be the same on every process.
    """
    return tensor if world_size() == 1 else _Sum.apply(tensor)


@torch.no_grad()
def max_over_processes(tensor: Tensor) -> Tensor:
    """Returns the maximum over processes of every entry of ``tensor``, without gradient.

    Args:
        tensor: Tensor of any shape, which must be the same on every process.
    """
    if world_size() == 1:
        return tensor.detach()
    largest = tensor.detach().clone(memory_format=torch.contiguous_format)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    return largest


@torch.no_grad()
def copy_first_process(tensors: Iterable[Tensor]) -> None:
    """Overwrites ``tensors``, the same ones on every process, with those of the first process."""
    if world_size() > 1:
        for tensor in tensors:
            dist.broadcast(tensor, src=0)


def patient_group() -> Any:
    """Returns a group of all processes that wait up to seven days for one that works alone; None for one process.

    Every process must call this. The default group gives up after minutes.
    """
    return dist.new_group(backend='gloo', timeout=timedelta(days=7)) if world_size() > 1 else None


def patient_barrier() -> Callable[[], Any]:
    """Returns a function that waits until all processes have called it, see ``patient_group``."""
    group = patient_group()
    return lambda: None if group is None else dist.barrier(group)


def broadcast_number(number: int | None) -> int | None:
    """Returns the number, or None, that the first process passes."""
    if world_size() == 1:
        return number
    box = [number]
    dist.broadcast_object_list(box)
    return box[0]


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        return gather_constant(tensor)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return _Sum.apply(gradient).chunk(world_size())[rank()]  # differentiable, because a loss may contain gradients


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

"""Collectives that carry gradient.

A loss over a global batch is correct when N processes with B / N images give the loss and the gradient of one process
with B. DDP averages gradients over processes, so a loss that is the mean over local anchors needs a gather whose
backward sums what every process contributes to a row: that is ``gather`` here, and nothing else is used for a loss.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.nn import functional as autograd_collectives


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
    if world_size() == 1:
        return tensor
    return torch.cat(autograd_collectives.all_gather(tensor.contiguous()))


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
    parts = [torch.empty_like(tensor) for _ in range(world_size())]
    dist.all_gather(parts, tensor.detach().contiguous())
    return torch.cat(parts)


def sum_over_processes(tensor: Tensor) -> Tensor:
    """Sums ``tensor`` over processes, with gradient (the backward pass sums as well).

    Args:
        tensor: Any shape, the same on every process.
    """
    if world_size() == 1:
        return tensor
    return autograd_collectives.all_reduce(tensor.contiguous())

"""Tensors that processes share: the shard of this process, the whole tensor, and norms over all shards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.tensor import DTensor, distribute_tensor


def local_shard(tensor: Tensor) -> Tensor:
    """Returns the part of a sharded tensor that this process holds, in the same storage; any other tensor itself."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def local_shards(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Returns ``local_shard`` of every tensor."""
    return [local_shard(tensor) for tensor in tensors]


def whole(tensor: Tensor) -> Tensor:
    """Returns the whole of a sharded tensor, which all processes must ask for; any other tensor itself."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def shard_like(tensor: Tensor, other: Tensor) -> Tensor:
    """Returns a whole tensor, the same on every process, sharded as ``other`` is; as it is if ``other`` is not."""
    if not isinstance(other, DTensor):
        return tensor
    # Every process has the whole tensor, so none is sent.
    return distribute_tensor(tensor, other.device_mesh, other.placements, src_data_rank=None)


def norms(tensors: Sequence[Tensor]) -> Tensor:
    """Returns the Euclidean norm of each tensor, (len(tensors),); of sharded tensors the norm of the whole.

    Args:
        tensors: Tensors of one dtype and device, either all of them sharded or none.
    """
    local = torch.stack(torch._foreach_norm(local_shards(tensors)))
    if not isinstance(tensors[0], DTensor):
        return local
    squares = local.square()
    dist.all_reduce(squares, group=tensors[0].device_mesh.get_group())
    return squares.sqrt()

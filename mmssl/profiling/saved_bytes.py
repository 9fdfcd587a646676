"""The memory that a forward pass keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class SavedBytes:
    """Result of ``count_saved_bytes``.

    Args:
        total: Number of bytes of all storages that were kept.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total


@contextmanager
def count_saved_bytes(model: nn.Module, *others: Tensor) -> Iterator[SavedBytes]:
    """Counts the bytes that autograd keeps inside a ``with`` block, without weights.

    A storage that is kept several times, such as by views of one tensor, counts once and in full. Fake tensors are
    counted like real ones.

    Args:
        model: Model whose parameters and buffers are not counted.
        *others: Other tensors that are not counted, such as images.
    """
    outside = {_storage(tensor) for tensor in (*model.parameters(), *model.buffers(), *others)}
    saved: dict[int, int] = {}
    result = SavedBytes()

    def note(tensor: Tensor) -> Tensor:
        if _storage(tensor) not in outside:
            saved[_storage(tensor)] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield result
    result.total = sum(saved.values())


def _storage(tensor: Tensor) -> int:
    """Returns a number that identifies the storage of a living tensor, also of a fake tensor, which has no address."""
    return tensor.untyped_storage()._cdata

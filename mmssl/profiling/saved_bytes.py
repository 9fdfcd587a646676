"""How much memory a forward pass keeps for its backward pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class SavedBytes:
    """Result of ``count_saved_bytes``.

    Args:
        total: Bytes of all storages that were kept.
    """

    def __init__(self, total: int = 0) -> None:
        self.total = total


@contextmanager
def count_saved_bytes(model: nn.Module, *others: Tensor) -> Iterator[SavedBytes]:
    """Counts the bytes that autograd keeps within the context; weights are there anyway and do not count.

    A storage that is kept several times, as views of one tensor are, counts once and in full. Tensors may be fake ones,
    which have sizes and hold nothing.

    Args:
        model: The model, whose parameters and buffers are not counted.
        *others: More tensors that are there anyway, such as images.
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
    """Identifies the memory of a tensor as long as it lives; fake tensors have no address."""
    return tensor.untyped_storage()._cdata

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
def count_saved_bytes(model: nn.Module) -> Iterator[SavedBytes]:
    """Counts the bytes that autograd keeps within the context; weights are there anyway and do not count.

    A storage that is kept several times, as views of one tensor are, counts once and in full.

    Args:
        model: The model whose parameters are not counted.
    """
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    saved: dict[int, int] = {}
    result = SavedBytes()

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        yield result
    result.total = sum(saved.values())

"""The peak of the memory that a computation on fake tensors would take."""

from __future__ import annotations

import weakref
from typing import Any

import torch
from torch import Tensor
from torch.distributed.tensor import DTensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class LiveBytes(TorchDispatchMode):
    """Counts the bytes of all storages that are alive inside a ``with`` block, also of fake tensors.

    Storages of the results of operators are counted until they are freed. Sharded training frees and restores storages
    by resizing them, which is counted too.

    Args:
        *tensors: Tensors that exist already, such as weights.

    Attributes:
        total: Bytes that are alive now.
        peak: Largest total since the start, or since it was set.
    """

    def __init__(self, *tensors: Tensor) -> None:
        super().__init__()
        self.total = self.peak = 0
        self._sizes: dict[int, int] = {}
        self._resize = torch.UntypedStorage.resize_
        for tensor in tensors:
            self._note(tensor)

    def __enter__(self) -> LiveBytes:
        noted, resize = self, self._resize

        def resize_(storage: torch.UntypedStorage, size: int) -> torch.UntypedStorage:
            result = resize(storage, size)
            if storage._cdata in noted._sizes:
                noted._change(storage._cdata, storage.nbytes())
            return result

        torch.UntypedStorage.resize_ = resize_  # type: ignore[method-assign,assignment]
        return super().__enter__()

    def __exit__(self, *args: Any) -> None:
        torch.UntypedStorage.resize_ = self._resize  # type: ignore[method-assign]
        super().__exit__(*args)

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Runs an operator, and counts the storages of its results."""
        if any(issubclass(kind, DTensor) for kind in types):
            return NotImplemented  # the operators on shards follow
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self._note(leaf)
        return result

    def _note(self, tensor: Tensor) -> None:
        tensor = tensor.to_local() if isinstance(tensor, DTensor) else tensor
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = 0
            weakref.finalize(storage, self._forget, key)
        self._change(key, storage.nbytes())

    def _change(self, key: int, size: int) -> None:
        self.total += size - self._sizes[key]
        self._sizes[key] = size
        self.peak = max(self.peak, self.total)

    def _forget(self, key: int) -> None:
        self.total -= self._sizes.pop(key, 0)

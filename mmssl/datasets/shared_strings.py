"""A list of strings that neither pickling nor forking copies."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import torch


class SharedStrings:
    """An immutable list of strings in two tensors: all characters, and where each string ends.

    A Python list of ten million names costs a gigabyte, and one more in every worker, because reading a string writes
    its reference count and so copies the page. Two tensors cost the characters and eight bytes a name, are shared by
    forked workers, and are moved to shared memory instead of being copied when workers are spawned.

    Args:
        strings: Any iterable of strings; it is consumed one by one.
    """

    def __init__(self, strings: Iterable[str]) -> None:
        characters, ends = bytearray(), array('q', [0])
        for string in strings:
            characters += string.encode('utf-8', 'surrogateescape')
            ends.append(len(characters))
        self.characters = torch.frombuffer(characters or bytearray(1), dtype=torch.uint8)
        self.ends = torch.frombuffer(ends, dtype=torch.int64)

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f'index {index} is not in 0..{len(self) - 1}')
        start, end = self.ends[index : index + 2].tolist()
        return self.characters[start:end].numpy().tobytes().decode('utf-8', 'surrogateescape')

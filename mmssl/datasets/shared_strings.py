"""A list of strings that workers share without a copy."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch


class SharedStrings:
    """An immutable list of strings in two tensors: all characters, and the end of each string.

    A Python list of ten million names takes a gigabyte, and another one in every worker, because reading a string
    writes its reference count and so copies the memory page. The two tensors take the characters and eight bytes per
    name. Forked workers share them, and for spawned workers torch moves them to shared memory.

    Args:
        strings: Iterable of strings; it is read one string at a time.
    """

    characters: Any
    ends: Any

    def __init__(self, strings: Iterable[str]) -> None:
        characters, ends = bytearray(), array('q', [0])
        for string in strings:
            characters += string.encode('utf-8', 'surrogateescape')
            ends.append(len(characters))
        self.characters = torch.frombuffer(characters or bytearray(1), dtype=torch.uint8)
        self.ends = torch.frombuffer(ends, dtype=torch.int64)

    @classmethod
    def of(cls, characters: Any, ends: Any) -> SharedStrings:
        """Returns the list whose strings are in two arrays or tensors.

        Args:
            characters: UTF-8, uint8.
            ends: (N + 1,) int64, a 0 and the end of each string in ``characters``.
        """
        strings = cls.__new__(cls)
        strings.characters, strings.ends = characters, ends
        return strings

    def __len__(self) -> int:
        return len(self.ends) - 1

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < len(self):
            raise IndexError(f'index {index} is not in 0..{len(self) - 1}')
        start, end = self.ends[index : index + 2].tolist()
        return np.asarray(self.characters[start:end]).tobytes().decode('utf-8', 'surrogateescape')

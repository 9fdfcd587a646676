"""Unpickles arrays and refuses everything else, because a pickle can run code."""

from __future__ import annotations

import pickle
from typing import IO, Any

ARRAYS = {('numpy', 'ndarray'), ('numpy', 'dtype'), ('_codecs', 'encode')} | {
    (module, '_reconstruct') for module in ('numpy.core.multiarray', 'numpy._core.multiarray')
}
"""Module and name of what a pickle of numpy arrays needs."""


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ARRAYS:
            raise pickle.UnpicklingError(f'the file asks for {module}.{name}; only numpy arrays are allowed')
        return super().find_class(module, name)


def load_arrays(file: IO[bytes]) -> Any:
    """Unpickles numbers, bytes, strings, containers and numpy arrays; strings of Python 2 become bytes.

    Raises:
        pickle.UnpicklingError: The file needs another class or function, which could run code.
    """
    return _ArraysOnly(file, encoding='bytes').load()

"""Choice of the library that computes clusters, and chunks of rows that bound its memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

import numpy as np
import torch
from rich.progress import track

BACKENDS = ('auto', 'faiss', 'torch')
_CHUNK_BYTES = 128 * 2**20


def choose_backend(backend: str, device: torch.device | str | None) -> tuple[str, torch.device]:
    """Returns the library and the device that compute.

    Args:
        backend: ``'auto'``, ``'faiss'`` or ``'torch'``. ``'auto'`` takes faiss on the CPU if it is installed, else
            torch.
        device: Device on which torch computes; None means the first GPU, or the CPU if there is no GPU. faiss always
            computes on the CPU.

    Raises:
        ValueError: The backend is unknown, or it is ``'faiss'`` and faiss is not installed.
    """
    if backend not in BACKENDS:
        raise ValueError(f'backend must be one of {", ".join(BACKENDS)}, got {backend!r}')
    installed = find_spec('faiss') is not None
    if backend == 'faiss' and not installed:
        raise ValueError("backend='faiss' needs faiss: pip install faiss-cpu, or write backend='torch'")
    device = torch.device(device or ('cuda' if torch.cuda.is_available() else 'cpu'))
    if backend == 'auto':
        backend = 'faiss' if device.type == 'cpu' and installed else 'torch'
    return backend, device


def chunk_rows(num_columns: int, num_bytes: int = _CHUNK_BYTES) -> int:
    """Returns how many float32 rows of ``num_columns`` numbers fit into ``num_bytes``, at least 1."""
    return max(1, num_bytes // (4 * num_columns))


def chunks(num_rows: int, rows_per_chunk: int) -> Iterator[slice]:
    """Yields the slices that cover ``num_rows`` rows in order."""
    for start in range(0, num_rows, rows_per_chunk):
        yield slice(start, min(start + rows_per_chunk, num_rows))


def check_finite(features: np.ndarray, distances: bool = False) -> None:
    """Checks that all features are finite, chunk by chunk.

    Args:
        features: (N, D), in memory or memory-mapped.
        distances: Whether squared distances between rows must be finite as well in the dtype of the features. faiss
            ends the process if they are not.

    Raises:
        ValueError: A number is infinite or NaN, or a distance may be infinite; the message names the first row.
    """
    for rows in chunks(len(features), chunk_rows(features.shape[1])):
        finite = np.isfinite(features[rows]).all(axis=1)
        if not finite.all():
            raise ValueError(
                f'the features of row {rows.start + int(finite.argmin())} are not finite: they cannot be clustered. '
                'Has the training diverged, or is a weight of the network not finite?'
            )
        if distances:
            finite = has_finite_distances(features[rows])
            if not finite.all():
                raise ValueError(
                    f'the features of row {rows.start + int(finite.argmin())} are so large that their squared '
                    'distances overflow: they cannot be clustered. Has the training diverged?'
                )


def has_finite_distances(rows: np.ndarray) -> np.ndarray:
    """Returns for each row (D,) whether its squared distance to any row that is not longer is finite, (N,) bool."""
    with np.errstate(over='ignore', invalid='ignore'):
        return np.isfinite(4 * np.square(rows).sum(axis=1))  # |a - b|^2 is at most 4 |a|^2


def bar(steps: Iterable, description: str | None) -> Iterable:
    """Iterates over ``steps``, with a progress bar if the output is a terminal and ``description`` is given."""
    return track(steps, description, transient=True) if description and sys.stdout.isatty() else steps

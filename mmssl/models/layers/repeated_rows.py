"""Rows that are written to places of a buffer which may occur twice."""

from __future__ import annotations

from torch import Tensor


def first_of_equals(indices: Tensor, rows: Tensor) -> Tensor:
    """Replaces each row by the first one with the same index.

    An image that cannot be read is replaced by another one, which may stand in the same batch. ``index_copy_`` with an
    index that occurs twice takes any of its rows on a GPU, so the processes would hold different buffers. The device is
    not synchronised.

    Args:
        indices: (N,) int64.
        rows: (N, ...).

    Returns:
        (N, ...).
    """
    first = (indices[:, None] == indices).byte().argmax(dim=1)  # of several largest values the first
    return rows[first]

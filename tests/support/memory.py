"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes
import os

TRIM_THRESHOLD, MMAP_MAX = -1, -4  # options of glibc's mallopt


def keep_freed_memory() -> None:
    """Large tensors get memory that was freed before, instead of new pages, whose first use costs more than a sum.

    By default glibc gives every large tensor pages of its own and returns them at once.
    """
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None) if os.name == 'posix' else None
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, -1)  # never
        mallopt(MMAP_MAX, 0)

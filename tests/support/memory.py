"""What the C library does with memory that is freed."""

from __future__ import annotations

import ctypes
import gc
import os
from pathlib import Path

GIGABYTE = 2**30
TRIM_THRESHOLD, MMAP_MAX = -1, -4  # options of glibc's mallopt


def keep_freed_memory() -> None:
    """Makes large tensors reuse memory that was freed: a page costs more when it is new than all sums on it.

    By default glibc gives every large tensor pages of its own and returns them at once.
    """
    mallopt = _function('mallopt')
    if mallopt is not None:
        mallopt(TRIM_THRESHOLD, -1)  # never
        mallopt(MMAP_MAX, 0)


def give_memory_back(above: float = 0.0) -> None:
    """Gives the system the memory that was freed, if this process holds more than ``above`` gigabytes."""
    gc.collect()
    trim = _function('malloc_trim')
    if trim is not None and _resident() > above * GIGABYTE:
        trim(0)


def _resident() -> int:
    """Bytes of memory that this process holds, as Linux tells."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def _function(name: str) -> ctypes._CFuncPtr | None:
    """A function of the C library, if this is glibc."""
    return getattr(ctypes.CDLL(None), name, None) if os.name == 'posix' else None

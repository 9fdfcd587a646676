"""What the C library does with memory that a step on a CPU has freed."""

from __future__ import annotations

import ctypes
import platform

# Parameters of glibc's mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_KEPT = 2**31 - 1  # bytes, the most that mallopt takes


def keep_freed_memory() -> bool:
    """Makes glibc's allocator keep freed memory for the next step, until the process ends.

    Otherwise it gives every large block back to the system, so each step of a training on a CPU gets its activations as
    new pages, which the system fills with zeros first. The peak of memory may rise: docs/howto/profiling.md.

    Returns:
        Whether the allocator can do it; without glibc nothing changes.
    """
    if platform.libc_ver()[0] != 'glibc':
        return False
    library = ctypes.CDLL(None)
    return bool(library.mallopt(_MMAP_THRESHOLD, _KEPT) and library.mallopt(_TRIM_THRESHOLD, _KEPT))

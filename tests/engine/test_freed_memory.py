"""Freed memory is used again: page faults are counted, not time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

from mmssl.engine import freed_memory

# The file alone, without the package, and NumPy instead of torch: both are quick to import.
_STEPS = """
import resource, runpy, sys
import numpy as np
keep = runpy.run_path(sys.argv[1])['keep_freed_memory']
if sys.argv[2] == 'kept':
    assert keep()
def step():
    np.ones(5_000_000)  # 40 MB
step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    command = [sys.executable, '-c', _STEPS, freed_memory.__file__, mode]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc')
def test_a_step_reuses_the_memory_of_the_last_one() -> None:
    kept, freed = page_faults('kept'), page_faults('freed')
    assert kept < freed / 20

"""Freed memory is used again: page faults are counted, not time."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_STEPS = """
import resource, sys, torch
from mmssl.engine.freed_memory import keep_freed_memory
if sys.argv[1] == 'kept':
    assert keep_freed_memory()
def step():
    x = [torch.ones(2_000_000) for _ in range(4)]  # 4 x 8 MB
step(), step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def page_faults(mode: str) -> int:
    run = subprocess.run([sys.executable, '-c', _STEPS, mode], capture_output=True, text=True, check=True)
    return int(run.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != 'glibc', reason='needs glibc')
def test_a_step_reuses_the_memory_of_the_last_one() -> None:
    assert page_faults('kept') < page_faults('freed') / 20

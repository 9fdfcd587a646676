"""Functions for measurements: name, synchronisation and peak memory of a device."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
from pathlib import Path

import torch


def device_name(device: torch.device) -> str:
    """Returns the name of the GPU, or ``CPU`` with the number of threads."""
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'CPU, {torch.get_num_threads()} threads'


def source_commit() -> str | None:
    """Returns the git commit of mmssl's source, with ``-dirty`` for changed files; None for an installed package."""
    package = Path(__file__).resolve().parents[1]
    if not (package.parent / '.git').exists():  # a file in a worktree, else a folder
        return None
    command = ['git', '-C', str(package), 'describe', '--always', '--dirty', '--exclude=*']
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or a repository that git does not trust
        return None


def cpu_name() -> str:
    """Returns the name of the processor; the architecture where the system does not tell it."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(':', 1)[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def synchronize(device: torch.device) -> None:
    """Waits for all work of a GPU; does nothing on a CPU."""
    if device.type == 'cuda':
        torch.cuda.synchronize(device)


def reset_peak_memory(device: torch.device) -> None:
    """Resets ``peak_memory`` of a GPU; the peak of a process cannot be reset."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> int:
    """Returns the peak of bytes allocated on a GPU, or on a CPU the largest resident set of this process."""
    if device.type == 'cuda':
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == 'darwin' else 1024  # Linux reports KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def free_memory(device: torch.device) -> int:
    """Returns the free bytes of a GPU, or the bytes of main memory that the system can still give."""
    if device.type == 'cuda':
        return torch.cuda.mem_get_info(device)[0]
    try:
        found = re.search(r'MemAvailable: +(\d+) kB', Path('/proc/meminfo').read_text())
    except FileNotFoundError:
        found = None
    return int(found[1]) * 1024 if found else os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')


def sum_of_losses(terms: dict[str, torch.Tensor]) -> torch.Tensor:
    """Returns the objective of a step: the sum of the terms whose names begin with ``loss``."""
    return torch.stack([term for name, term in terms.items() if name.startswith('loss')]).sum()

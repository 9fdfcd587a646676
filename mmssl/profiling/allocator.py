"""Peak of the memory that torch's allocator provides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile


def peak_allocated(task: Callable[[], Any], device: str = 'cpu') -> int:
    """Returns the peak of bytes that are allocated while ``task`` runs, without those allocated before.

    Args:
        task: Function that is called once.
        device: ``'cpu'``, where torch's profiler records every allocation, or ``'cuda'``.
    """
    if device == 'cuda':
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        task()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        task()
    results: Any = profiler.profiler.kineto_results  # type: ignore[union-attr]
    events = sorted((event.start_ns(), event.nbytes()) for event in results.events() if event.name() == '[memory]')
    peak = total = 0
    for _, change in events:  # negative if memory is freed
        total += change
        peak = max(peak, total)
    return peak

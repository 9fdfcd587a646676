"""The peak of allocated memory, counted on what is known."""

from __future__ import annotations

import torch

from mmssl.profiling.allocator import peak_allocated


def test_counts_what_lives_at_a_time() -> None:
    def task() -> None:
        for _ in range(3):
            first = torch.zeros(1000, 256)
            second = torch.zeros(1000, 256)
            del first, second

    assert 2 * 1024_000 <= peak_allocated(task) <= 2.1 * 1024_000

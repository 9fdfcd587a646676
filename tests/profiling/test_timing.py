"""What is compared takes turns."""

from __future__ import annotations

import time

import pytest
import torch
from mmengine.config import Config

from mmssl.profiling.throughput import measure_throughput
from mmssl.profiling.timing import Task, time_in_turns


def test_tasks_take_turns_in_alternating_order_and_preparation_is_free() -> None:
    calls: list[str] = []
    tasks = {
        'fast': Task(None, lambda: calls.append('fast')),
        'slow': Task(lambda: time.sleep(0.2), lambda: (calls.append('slow'), time.sleep(0.02))),
    }
    laps = time_in_turns(tasks, 2, torch.device('cpu'))
    assert calls == ['fast', 'slow', 'slow', 'fast', 'fast', 'slow']  # the first two warm up
    for lap in laps:
        wall, processor = lap['slow']
        assert 0.02 <= wall < 0.2 and processor < 0.02  # sleeping takes no processor time


def test_no_measurement_at_all_is_refused() -> None:
    with pytest.raises(ValueError, match='repeats must be at least 1, got 0'):
        time_in_turns({}, 0, torch.device('cpu'))
    with pytest.raises(ValueError, match='num_iters and repeats must be at least 1, got 10 and 0'):
        measure_throughput(Config(), repeats=0)

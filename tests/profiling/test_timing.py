"""What is compared takes turns."""

from __future__ import annotations

import time

import torch

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

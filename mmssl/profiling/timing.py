"""Measuring what is compared in turns, so that a busy machine slows all of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from mmssl.profiling.machine import synchronize


class Task(NamedTuple):
    """Something to be timed."""

    prepare: Callable[[], Any] | None
    """What comes before it and is not measured."""
    run: Callable[[], Any]
    """What is measured."""


Tasks = dict[str, Task]
Laps = list[dict[str, tuple[float, float]]]


def time_in_turns(tasks: Tasks, repeats: int, device: torch.device) -> Laps:
    """Runs every task once to warm up and then ``repeats`` times, in turns, forwards and backwards.

    Args:
        tasks: What is compared, by name.
        repeats: Number of rounds.
        device: It is waited for before a clock is read.

    Returns:
        For every round, per task, wall time and processor time in seconds. The latter is that of all threads of this
        process, which other processes hardly change; on a GPU it means nothing.
    """
    for task in tasks.values():
        _seconds(task, device)
    laps = []
    for index in range(repeats):
        names = list(tasks) if index % 2 else list(reversed(tasks))  # what runs first has a colder cache
        laps.append({name: _seconds(tasks[name], device) for name in names})
    return laps


def _seconds(task: Task, device: torch.device) -> tuple[float, float]:
    if task.prepare:
        task.prepare()
    synchronize(device)
    wall, processor = time.perf_counter(), time.process_time()
    task.run()
    synchronize(device)
    return time.perf_counter() - wall, time.process_time() - processor

"""Timing of tasks in turns, so that other load on the machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from mmssl.profiling.machine import synchronize


class Task(NamedTuple):
    """A task to time."""

    prepare: Callable[[], Any] | None
    """Function that runs before ``run`` and is not timed; None for none."""
    run: Callable[[], Any]
    """Function that is timed."""


Tasks = dict[str, Task]
Laps = list[dict[str, tuple[float, float]]]


def time_in_turns(tasks: Tasks, repeats: int, device: torch.device) -> Laps:
    """Runs every task once to warm up and then ``repeats`` times, in turns, forwards and backwards.

    Args:
        tasks: Tasks by name.
        repeats: Number of rounds.
        device: Device that is synchronised before a clock is read.

    Returns:
        For every round and task, wall time and processor time in seconds. The processor time counts all threads of this
        process and hardly depends on other processes; on a GPU it is meaningless.

    Raises:
        ValueError: ``repeats`` is less than 1.
    """
    if repeats < 1:
        raise ValueError(f'repeats must be at least 1, got {repeats}')
    for task in tasks.values():
        _seconds(task, device)
    laps = []
    for index in range(repeats):
        names = list(tasks) if index % 2 else list(reversed(tasks))  # the first task has a colder cache
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

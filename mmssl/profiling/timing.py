"""Timing of tasks in turns, so that other load on the machine slows all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
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
        For every round and task, wall time and processor time in seconds, see ``time_once``.

    Raises:
        ValueError: ``repeats`` is less than 1.
    """
    return measure_in_turns(list(tasks), lambda name: time_once(tasks[name], device), repeats)


def measure_in_turns(names: Sequence[str], measure: Callable[[str], tuple[float, float]], repeats: int) -> Laps:
    """Like ``time_in_turns``, for measurements of any kind: ``measure`` takes a name and returns both times."""
    if repeats < 1:
        raise ValueError(f'repeats must be at least 1, got {repeats}')
    for name in names:
        measure(name)
    laps = []
    for index in range(repeats):
        order = names if index % 2 else list(reversed(names))  # the first task has a colder cache
        laps.append({name: measure(name) for name in order})
    return laps


def time_once(task: Task, device: torch.device) -> tuple[float, float]:
    """Returns wall time and processor time of a task in seconds.

    The processor time counts all threads of this process and hardly depends on other processes; on a GPU it is
    meaningless.
    """
    if task.prepare:
        task.prepare()
    synchronize(device)
    wall, processor = time.perf_counter(), time.process_time()
    task.run()
    synchronize(device)
    return time.perf_counter() - wall, time.process_time() - processor

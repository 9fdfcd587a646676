"""Curves and times in the logs of trainings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from mmssl.utils.errors import UserError, did_you_mean
from mmssl.utils.scalars import read_scalars

Log = list[dict[str, float]]
_OF_ITERATIONS = {'iter', 'labelling_seconds'}  # keys of training and of labellings; evaluations are logged by epochs


def read_log(path: str) -> Log:
    """Returns the entries of a log, in order.

    Args:
        path: A ``scalars.json``, or a work directory, of which the latest one is read.

    Raises:
        UserError: There is no log, or the file is none.
    """
    file = Path(path)
    if file.is_dir():
        files = sorted(file.glob('**/vis_data/scalars.json'), key=lambda log: log.parents[1].name)  # time of the start
        if not files:
            raise UserError(f'no vis_data/scalars.json below {path}: was anything logged?')
        file = files[-1]
    if not file.is_file():
        raise UserError(f'log {path!r} does not exist')
    lines = read_scalars(file)
    if not all(isinstance(line, dict) for line in lines) or not lines:
        raise UserError(f'{file} holds no log lines: one JSON object per line was expected')
    return lines


def curve(log: Log, key: str) -> tuple[list[float], list[float]]:
    """Returns positions and values of ``key``; ``position_unit`` says what the positions count.

    Raises:
        UserError: No entry of the log has the key; names those that it has.
    """
    points = [(line['step'], line[key]) for line in log if key in line and 'step' in line]
    if not points:
        offered = sorted({name for line in log for name in line})
        raise UserError(f'no log line has {key!r}{did_you_mean(key, offered)}; logged are {", ".join(offered)}')
    xs, ys = zip(*points)
    return list(xs), list(ys)


def position_unit(log: Log, key: str) -> str:
    """Returns what the positions of ``key`` count, ``'iteration'`` or ``'epoch'``.

    Evaluations are counted in iterations if the run is, which shows in positions beyond the last epoch.
    """
    lines = [line for line in log if key in line]
    if any(line.keys() & _OF_ITERATIONS for line in lines):
        return 'iteration'
    training = [line for line in log if 'iter' in line]
    last = max((line.get('epoch', 0) for line in training), default=np.inf)
    return 'iteration' if max(line.get('step', 0) for line in lines) > last else 'epoch'


def draw_curves(axes: Axes, curves: Mapping[str, tuple[Log, str]]) -> None:
    """Draws curves and their legend.

    Args:
        axes: Axes of matplotlib.
        curves: Name in the legend -> log, and key in the log.

    Raises:
        UserError: A log has no value of its key, or some curves run over iterations and others over epochs.
    """
    points = [curve(log, key) for log, key in curves.values()]
    units = {name: position_unit(log, key) for name, (log, key) in curves.items()}
    if len(set(units.values())) > 1:
        shown = ', '.join(f'{name} by {unit}s' for name, unit in units.items())
        raise UserError(f'curves of one figure need the same positions, got {shown}: draw two figures')
    for name, (log, key), (xs, ys) in zip(curves, curves.values(), points):
        is_training = any('iter' in line for line in log if key in line)
        axes.plot(xs, ys, label=name, linewidth=0.8, marker=None if is_training else 'o')
    axes.set_xlabel(next(iter(units.values())))
    axes.legend()


def epoch_times(log: Sequence[Mapping[str, float]], include_outliers: bool = False) -> dict[int, float]:
    """Returns epoch -> mean seconds of a training iteration, without the first of an epoch unless it is included."""
    times: dict[int, list[float]] = defaultdict(list)
    for line in log:
        if {'time', 'epoch', 'iter'} <= line.keys():
            times[int(line['epoch'])].append(line['time'])
    return {e: float(np.mean(t if include_outliers or len(t) == 1 else t[1:])) for e, t in times.items()}

"""Curves and table of runs in several toolboxes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from mmssl.demo.peers.comparison import EXACT, PeerRun

OWN = 'mmssl'
WINDOWS = 8  # of the loss


@dataclass
class Curves:
    """The curves of a method in a toolbox, one row per seed in the order of the seeds.

    Args:
        images: Images seen at each value of ``accuracies``.
        accuracies: kNN accuracy in %.
        loss_images: Images seen in the middle of each window of ``losses``.
        losses: Mean loss in each window.
    """

    images: list[int] = field(default_factory=list)
    accuracies: list[list[float]] = field(default_factory=list)
    loss_images: list[float] = field(default_factory=list)
    losses: list[list[float]] = field(default_factory=list)


Table = dict[str, dict[str, Curves]]


def curves(runs: Iterable[PeerRun]) -> Table:
    """Returns method -> toolbox -> curves of the finished runs."""
    table: Table = defaultdict(lambda: defaultdict(Curves))
    for run in sorted(runs, key=lambda run: run.seed):
        if run.results is None or run.toolbox == EXACT:
            continue
        own = table[run.method][run.toolbox]
        own.images = [images for images, _ in run.results['accuracies']]
        own.accuracies.append([accuracy for _, accuracy in run.results['accuracies']])
        own.losses.append(windows(run.results['losses']))
        width = run.results['images'] / len(own.losses[-1])
        own.loss_images = [width * (place + 0.5) for place in range(len(own.losses[-1]))]
    return table


def windows(losses: Sequence[float], count: int = WINDOWS) -> list[float]:
    """Returns the mean of the losses in each of ``count`` parts of a run; every loss if there are fewer."""
    count = min(count, len(losses))
    bounds = [place * len(losses) // count for place in range(count + 1)]
    return [fmean(losses[first:last]) for first, last in zip(bounds, bounds[1:])]


def within_spread(rows: Sequence[Sequence[float]], reference: Sequence[Sequence[float]]) -> str:
    """Returns how many points of the mean curve lie between the least and the most of the reference: ``'3 of 4'``.

    Args:
        rows: One curve per seed.
        reference: One curve per seed of the reference; with a single one there is no spread.
    """
    if len(reference) < 2:
        return ''
    means = [fmean(column) for column in zip(*rows)]
    spread = [(min(column), max(column)) for column in zip(*reference)]
    inside = sum(least <= mean <= most for mean, (least, most) in zip(means, spread))
    return f'{inside} of {len(means)}'


def as_markdown(runs: Sequence[PeerRun], missing: Sequence[str], command: str) -> str:
    """Returns the table, the conditions, and the errors of failed runs.

    Args:
        runs: Finished and failed runs.
        missing: Toolboxes that are not installed.
        command: Command that made the runs.
    """
    head = ['method', 'toolbox', 'kNN in %', 'within the spread', 'loss', 'within the spread', 'ms per step', 'MiB']
    rows = [[*head, 'difference in float64', 'runs'], ['---', '---', *['---:'] * len(head)]]
    table, done = curves(runs), [run for run in runs if run.results and run.toolbox != EXACT]
    exact = {run.method: run.results for run in runs if run.results and run.toolbox == EXACT}
    for method, toolboxes in table.items():
        for toolbox in sorted(toolboxes, key=lambda name: (name != OWN, name)):
            own, reference = toolboxes[toolbox], toolboxes.get(OWN, Curves())
            inside = ['', '']
            if toolbox != OWN:
                inside = [
                    within_spread([row[1:] for row in own.accuracies], [row[1:] for row in reference.accuracies]),
                    within_spread(own.losses, reference.losses),
                ]
            costs = [run.results for run in done if (run.method, run.toolbox) == (method, toolbox)]
            rows.append([
                method, toolbox,
                _cell([row[-1] for row in own.accuracies], '.1f'), inside[0],
                _cell([row[-1] for row in own.losses], '.3f'), inside[1],
                _cell([1e3 * cost['step_seconds'] for cost in costs if cost], '.0f'),
                _cell([(cost['memory'] - cost['memory_before']) / 2**20 for cost in costs if cost], '.0f'),
                _difference(exact.get(method), toolbox), str(len(costs)),
            ])  # fmt: skip
        rows += [[method, name, 'not installed', *[''] * (len(head) - 1)] for name in missing]
    failed = [f'- {run.method}, {run.toolbox}, seed {run.seed}: {run.error}' for run in runs if run.error]
    conditions = [f'- {key}: {_joined(done, key)}' for key in ('device', 'cpu', 'threads', 'torch', 'mmssl', 'commit')]
    lines = [f'| {" | ".join(row)} |' for row in rows]
    return '\n'.join([*lines, '', f'Command: `{command}`', '', *conditions, '', *failed]).rstrip() + '\n'


def _cell(values: Sequence[float], spec: str) -> str:
    spread = f' ({min(values):{spec}} to {max(values):{spec}})' if len(values) > 1 else ''
    return f'{fmean(values):{spec}}{spread}' if values else ''


def _difference(exact: dict[str, Any] | None, toolbox: str) -> str:
    found = (exact or {}).get('differences', {}).get(toolbox)
    return '' if found is None else f'{found:.0e}'


def _joined(runs: Sequence[PeerRun], key: str) -> str:
    return ' / '.join(dict.fromkeys(str((run.results or {}).get(key)) for run in runs))

"""Trains every method on the same images with the same budget, and ranks them.

Every run (method, seed) is a process of its own with its own folder, where its result is a file. So a table that was
stopped continues with the next run, and a failed run does not affect the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from textwrap import wrap
from typing import Any

from mmssl.checkpoints.files import replace_file
from mmssl.demo.report import METRICS
from mmssl.profiling.machine import source_commit
from mmssl.utils.errors import UserError

REFERENCES = ('raw pixels', 'random initialisation')
_TAIL = 8  # lines of the log of a failed run in the table


@dataclass
class Run:
    """A finished or failed run.

    Args:
        method: Name of the method.
        seed: Seed of the run.
        results: Content of the demo's ``result.json``; None if the run failed.
        seconds: Duration of the process, with the evaluation.
        error: End of the log of a failed run.
    """

    method: str
    seed: int
    results: dict[str, Any] | None
    seconds: float
    error: str = ''


@dataclass
class Entry:
    """A row of the table.

    Args:
        name: Name of a method or of a reference.
        scores: Metric -> one value in % per seed, in the order of the seeds.
        images: Mean number of training images that a run has seen; 0 for a reference.
        minutes: Mean duration of the training.
        processor_minutes: Time that each training took of all processors together, where it was recorded.
        failed: Number of failed runs.
        knows_labels: Whether a training learned from labels.
    """

    name: str
    scores: dict[str, list[float]]
    images: float = 0.0
    minutes: float = 0.0
    processor_minutes: list[float] = field(default_factory=list)
    failed: int = 0
    knows_labels: bool = False


class Leaderboard:
    """Runs the demo of every method and stores the results.

    Args:
        methods: Names of methods, or files of recipes, as ``tools/demo.py --method`` takes them. In the table, the name
            of a file is that of the recipe.
        options: Further arguments of ``tools/demo.py``, the same for all methods: the budget and the images.
        work_dir: Folder for runs and tables.
        demo: Path of ``tools/demo.py``.
    """

    def __init__(self, methods: Sequence[str], options: Sequence[str], work_dir: Path, demo: Path) -> None:
        self.methods = {Path(method).name.removesuffix('.py'): method for method in methods}
        self.options, self.work_dir, self.demo = list(options), work_dir, demo

    def run(self, seeds: Sequence[int], after_each: Callable[[list[Run]], None] = lambda runs: None) -> list[Run]:
        """Runs every method that has no result yet, failed ones again, and returns all runs, the lowest seed first.

        Finished runs of other methods and seeds in the folder, with the same options, belong to the table too.

        Args:
            seeds: Seeds of the runs. All methods get the first seed before one gets the second.
            after_each: Function that is called with the runs so far, to write the tables.
        """
        runs = self._finished_before(seeds)
        for seed in seeds:
            for method in self.methods:
                run = self.run_one(method, seed)
                shown = run.error or ', '.join(f'{key} {value:.1f}' for key, value in _last(run).items())
                print(f'{method}, seed {seed}: {shown}{self._origin(run)}', flush=True)
                runs = sorted([*runs, run], key=lambda run: run.seed)
                after_each(runs)
        return runs

    def _finished_before(self, seeds: Sequence[int]) -> list[Run]:
        """Returns the finished runs of methods and seeds that are not asked for, with the same options."""
        asked = {(method, seed) for method in self.methods for seed in seeds}
        runs = []
        for file in sorted(self.work_dir.glob('*/seed*/run.json')):
            run = Run(**json.loads(file.read_text()))
            options = json.loads(file.with_name('command.json').read_text())[2:]
            if (run.method, run.seed) not in asked and options == self._command(run.method, run.seed)[2:]:
                runs.append(run)
        return runs

    def _command(self, method: str, seed: int) -> list[str]:
        return ['--method', self.methods.get(method, method), '--seed', str(seed), *self.options]

    def run_one(self, method: str, seed: int) -> Run:
        """Runs a method once, or reads the result of an earlier run.

        Raises:
            UserError: The folder of the run holds a run with another budget or other images.
        """
        folder = self.work_dir / method / f'seed{seed}'
        command = self._command(method, seed)
        started, finished = folder / 'command.json', folder / 'run.json'
        if started.is_file() and json.loads(started.read_text()) != command:
            raise UserError(f'{folder} holds a run with other options, see {started}: choose another --work-dir')
        if finished.is_file():
            return Run(**json.loads(finished.read_text()))
        folder.mkdir(parents=True, exist_ok=True)
        started.write_text(json.dumps(command))
        start = time.monotonic()
        with open(folder / 'log.txt', 'w') as log:
            done = subprocess.run(
                [sys.executable, str(self.demo), *command, '--work-dir', str(folder)],
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        run = Run(method, seed, None, time.monotonic() - start)
        if done.returncode:
            tail = (folder / 'log.txt').read_text(errors='replace').strip().splitlines()[-_TAIL:]
            run.error = '\n'.join([f'exit code {done.returncode}; the end of {folder / "log.txt"}:', *tail])
            return run
        run.results = json.loads((folder / 'result.json').read_text())
        finished.with_suffix('.tmp').write_text(json.dumps(vars(run), indent=2) + '\n')
        replace_file(finished.with_suffix('.tmp'), finished)
        return run

    @staticmethod
    def _origin(run: Run) -> str:
        """Says that a result is one of another commit, because its code may compute something else."""
        commit = (run.results or {}).get('commit')
        if commit in (None, source_commit()):
            return ''
        return f' (an earlier result, of commit {commit}: delete its folder to make it again)'


def _last(run: Run) -> dict[str, float]:
    """The scores of the trained network: the last representation of a run."""
    assert run.results is not None, 'the run has failed'
    return list(run.results['scores'].values())[-1]


def entries(runs: Sequence[Run]) -> list[Entry]:
    """Returns a row per reference and method: references first, then methods, the best linear accuracy first."""
    methods: dict[str, Entry] = {}
    references = {name: Entry(name, {}) for name in REFERENCES}
    seen: set[tuple[str, int, str]] = set()
    for run in runs:
        entry = methods.setdefault(run.method, Entry(run.method, {}))
        if run.results is None:
            entry.failed += 1
            continue
        _append(entry, _last(run))
        entry.images += run.results['images']
        entry.minutes += run.results['minutes']
        entry.knows_labels |= run.results.get('knows_labels', False)
        if 'processor_minutes' in run.results:
            entry.processor_minutes.append(run.results['processor_minutes'])
        for name, reference in references.items():
            # The initial network depends on the seed and on the backbone; pixels and the common ResNet count once.
            key = (name, run.seed, json.dumps(run.results['scores'].get(name)))
            if name in run.results['scores'] and key not in seen:
                seen.add(key)
                _append(reference, run.results['scores'][name])
    for entry in methods.values():
        count = max(1, sum(run.method == entry.name and run.results is not None for run in runs))
        entry.images, entry.minutes = entry.images / count, entry.minutes / count
    ranked = sorted(methods.values(), key=lambda entry: -fmean(entry.scores.get('linear_top1') or [-1]))
    return [*(reference for reference in references.values() if reference.scores), *ranked]


def _append(entry: Entry, scores: dict[str, float]) -> None:
    for key, value in scores.items():
        entry.scores.setdefault(key, []).append(value)


def as_markdown(runs: Sequence[Run], command: str) -> str:
    """Returns the table with mean and range over seeds, the conditions, and the errors of failed runs."""
    head = ['', *METRICS.values(), 'images seen', 'minutes', 'processor minutes', 'runs']
    rows = [head, ['---'] + ['---:'] * (len(head) - 1)]
    for entry in entries(runs):
        count = max((len(values) for values in entry.scores.values()), default=0)
        cells = [_cell(entry.scores.get(key)) for key in METRICS]
        processor = f'{fmean(entry.processor_minutes):.1f}' if entry.processor_minutes else ''
        budget = [f'{entry.images:,.0f}', f'{entry.minutes:.1f}', processor]
        if entry.name in REFERENCES:
            budget = [''] * len(budget)
        name = f'{entry.name} (knows the labels)' if entry.knows_labels else entry.name
        rows.append([name, *cells, *budget, f'{count}' + f', {entry.failed} failed' * bool(entry.failed)])
    lines = [f'| {" | ".join(row)} |' for row in rows]
    done = [run.results for run in runs if run.results]
    keys = ('device', 'cpu', 'threads', 'torch', 'mmssl', 'commit')
    values = {key: ' / '.join(sorted({str(result[key]) for result in done if key in result})) for key in keys}
    failures = [f'{run.method}, seed {run.seed}: {run.error}' for run in runs if run.error]
    return '\n'.join([
        '# Leaderboard', '',
        'Accuracy in % on test images from frozen features: mean over seeds, in brackets the least and the most.', '',
        *lines, '',
        f'Command: `{command}`', '',
        *(f'- {key}: {value}' for key, value in values.items() if value),
        *(['', '## Failed runs', '', *(f'```\n{text}\n```' for text in failures)] if failures else []), '',
    ])  # fmt: skip


def save_chart(runs: Sequence[Run], path: Path) -> None:
    """Draws the table as bars; without a finished run there is nothing to draw and no file."""
    from mmssl.visualization.leaderboard_chart import plot_leaderboard  # here because matplotlib is slow to import
    from mmssl.visualization.style import save_figure

    shown = [(row.name, row.scores) for row in entries(runs) if row.scores]
    if shown:
        measured = {key: title for key, title in METRICS.items() if any(key in scores for _, scores in shown)}
        save_figure(plot_leaderboard(shown, measured, REFERENCES), path)


def gains(runs: Sequence[Run]) -> list[tuple[Entry, list[float], list[float]]]:
    """Returns the methods, the best first, with linear accuracies in % of the random network and after the training.

    There is one accuracy per seed; those before are fewer where a run did not record them.
    """
    metric, initial = 'linear_top1', REFERENCES[1]
    before: dict[str, list[float]] = {}
    for run in runs:
        scores = run.results['scores'].get(initial, {}) if run.results else {}
        before.setdefault(run.method, []).extend([scores[metric]] if metric in scores else [])
    methods = [row for row in entries(runs) if row.name in before and metric in row.scores]
    return [(row, before[row.name], row.scores[metric]) for row in methods]


def save_gains(runs: Sequence[Run], path: Path) -> None:
    """Draws the linear accuracies before and after the training; without a finished run there is no file."""
    from mmssl.visualization.leaderboard_chart import plot_gains  # here because matplotlib is slow to import
    from mmssl.visualization.style import save_figure

    if rows := gains(runs):
        shown = [(row.name, before, after) for row, before, after in rows]
        labelled = [row.name for row, *_ in rows if row.knows_labels]
        save_figure(plot_gains(shown, 'Linear probe before and after pre-training', labelled), path)


def method_table(runs: Sequence[Run]) -> str:
    """Returns the table of one method for its card: its representations and the references, with the conditions.

    Args:
        runs: Runs of the method, one per seed.

    Raises:
        UserError: No run has finished.
    """
    done = [run.results for run in runs if run.results]
    if not done:
        raise UserError(f'no run of {runs[0].method if runs else "the method"} has finished')
    names = max((list(result['scores']) for result in done), key=len)  # an earlier run may have recorded less
    ordered = [*reversed([name for name in names if name not in REFERENCES]), *reversed(REFERENCES)]
    rows = [['', *METRICS.values()], ['---'] + ['---:'] * len(METRICS)]
    for name in ordered:
        scores = [result['scores'][name] for result in done if name in result['scores']]
        rows.append([name, *(_cell([score[key] for score in scores if key in score]) for key in METRICS)])
    seeds = [str(run.seed) for run in runs if run.results]
    several, images = len(seeds) > 1, fmean(result['images'] for result in done)
    recorded = [result['processor_minutes'] for result in done if 'processor_minutes' in result]
    duration = fmean(recorded or [result['minutes'] for result in done])
    kind = 'of processor time' if recorded else 'beside other programs'
    text = (
        f'Accuracy in % on test images; {"seeds" if several else "seed"} {", ".join(seeds)}'
        f'{", mean and range" if several else ""}. A training saw {images:,.0f} images in '
        f'{duration:.1f} minutes {kind} ({_joined(done, "cpu")}, threads: {_joined(done, "threads")}, '
        f'torch {_joined(done, "torch")}, commit {_joined(done, "commit")}).'
    )
    return '\n'.join([*(f'| {" | ".join(row)} |' for row in rows), '', *wrap(text, 120)])


def _joined(results: Sequence[dict], key: str) -> str:
    return ' / '.join(dict.fromkeys(str(result[key]) for result in results if result.get(key) is not None))


def _cell(values: Sequence[float] | None) -> str:
    if not values:
        return ''
    spread = f' ({min(values):.1f} to {max(values):.1f})' if len(values) > 1 else ''
    return f'{fmean(values):.1f}{spread}'

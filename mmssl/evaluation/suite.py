"""Runs a suite of downstream protocols, one after the other, on a checkpoint and on random initialisation.

Every run (protocol, initialisation, seed) is a separate process with its own folder, where its result is a file. So a
suite that was stopped continues with the next run, and a failed run does not affect the others.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from mmengine.config import Config

from mmssl.checkpoints.files import replace_file
from mmssl.utils.errors import UserError, did_you_mean
from mmssl.utils.scalars import read_scalars

PRETRAINED, RANDOM = 'pretrained', 'random'
REPLACED = ('checkpoint', 'data', 'seed', 'work_dir', 'out')
_TAIL = 15  # number of log lines of a failed run in the report


@dataclass(frozen=True)
class Protocol:
    """A downstream protocol: the command that measures one metric.

    In ``command``, ``pretrained``, ``random`` and ``resume`` the suite replaces ``{checkpoint}``, ``{data}``,
    ``{seed}``, ``{work_dir}`` and ``{out}`` by the checkpoint, the data folder, the seed, the folder of the run and
    the path of ``metrics.json`` in it.

    Args:
        name: Name of the protocol and of the folder of its runs.
        metric: Key of the metric in ``{out}`` or in the ``scalars.json`` of a training run; the last value counts.
        command: Tool of this repository and its arguments, the same for both initialisations.
        pretrained: Additional arguments of a run on the checkpoint.
        random: Additional arguments of a run on random initialisation.
        title: Name in the table and the figure; empty takes ``name``.
        resume: Additional arguments that resume an interrupted run; empty starts it again from the beginning.
        scale: Factor on the metric, such as 100 for a fraction.
    """

    name: str
    metric: str
    command: Sequence[str]
    pretrained: Sequence[str] = ('--pretrained', '{checkpoint}')
    random: Sequence[str] = ()
    title: str = ''
    resume: Sequence[str] = ('--resume',)
    scale: float = 1.0


@dataclass
class Result:
    """The result of one run.

    Args:
        protocol: Name of the protocol.
        init: Initialisation, ``'pretrained'`` or ``'random'``.
        seed: Seed of the run.
        value: Value of the metric, None if the run failed.
        seconds: Duration of the run.
        command: Arguments of Python that were run.
        error: End of the log of a failed run.
    """

    protocol: str
    init: str
    seed: int
    value: float | None
    seconds: float
    command: list[str] = field(default_factory=list)
    error: str = ''


def load_suite(suite: str, root: Path) -> list[Protocol]:
    """Reads a suite: a Python file whose ``protocols`` maps names to the arguments of ``Protocol``.

    Args:
        suite: Name of a file in ``configs/benchmarks/suites/`` without its suffix, or a path that ends in ``.py``.
        root: Root folder of the repository.

    Raises:
        UserError: The suite does not exist, it has no protocols, a protocol has a missing or an unknown argument, or
            there is nothing to put in place of a name in braces.
    """
    folder = root / 'configs' / 'benchmarks' / 'suites'
    path = Path(suite) if suite.endswith('.py') else folder / f'{suite}.py'
    if not path.is_file():
        offered = sorted(file.stem for file in folder.glob('*.py'))
        hint = did_you_mean(suite, offered)
        raise UserError(f'there is no suite {suite!r}{hint}; the suites in {folder} are {", ".join(offered)}')
    protocols = Config.fromfile(path).get('protocols')
    if not protocols:
        raise UserError(f'{path} has no protocols = dict(NAME=dict(metric=..., command=[...]), ...)')
    try:
        found = [Protocol(name=name, **arguments) for name, arguments in protocols.items()]
    except TypeError as error:
        raise UserError(f'{path}: {error}') from error
    for protocol in found:
        _check_lists(protocol, path)
        for argument in (*protocol.command, *protocol.pretrained, *protocol.random, *protocol.resume):
            _check_argument(argument, f'{path}: {protocol.name}')
    return found


def _check_lists(protocol: Protocol, path: Path) -> None:
    for name in ('command', 'pretrained', 'random', 'resume'):
        if isinstance(value := getattr(protocol, name), str):
            raise UserError(f'{path}: {protocol.name}: {name} is the text {value!r}: write a list of arguments')


def _check_argument(argument: str, place: str) -> None:
    try:
        argument.format(**dict.fromkeys(REPLACED, ''))
    except (KeyError, IndexError, ValueError) as error:
        names = ', '.join(f'{{{name}}}' for name in REPLACED)
        raise UserError(
            f'{place}: {argument!r} holds braces that are none of {names}: write a brace itself as {{{{ or }}}}'
        ) from error


class Suite:
    """Runs downstream protocols and stores their results.

    Args:
        protocols: Protocols to run.
        checkpoint: Absolute path of the checkpoint.
        data_root: Folder of the datasets.
        work_dir: Folder for runs and results.
        root: Root folder of the repository, in which the commands run.
    """

    def __init__(
        self, protocols: Sequence[Protocol], checkpoint: Path, data_root: Path, work_dir: Path, root: Path
    ) -> None:
        self.protocols = protocols
        self.checkpoint = checkpoint
        self.data_root = data_root
        self.work_dir = work_dir
        self.root = root

    def run(self, seeds: Iterable[int], inits: Iterable[str] = (PRETRAINED, RANDOM)) -> list[Result]:
        """Runs every protocol that has no result yet, failed ones again, and returns all results.

        Args:
            seeds: Seeds of the runs.
            inits: Initialisations, ``'pretrained'`` and ``'random'``.
        """
        results = []
        for seed in seeds:
            for protocol in self.protocols:
                for init in inits:
                    result = self.run_one(protocol, init, seed)
                    results.append(result)
                    shown = 'failed' if result.value is None else f'{result.value:.2f}'
                    print(f'{protocol.name} {init} seed {seed}: {protocol.metric} {shown}', flush=True)
        return results

    def run_one(self, protocol: Protocol, init: str, seed: int) -> Result:
        """Runs a protocol once, or reads the result of an earlier run.

        Raises:
            UserError: The folder of the run holds a run of a different command, for instance of another checkpoint, or
                a result, or an interrupted training, that is older than the checkpoint.
        """
        folder = self.work_dir / protocol.name / init / f'seed{seed}'
        command = self.command(protocol, init, seed, folder)
        started, finished = folder / 'command.json', folder / 'result.json'
        last = folder / 'last_checkpoint'
        if started.is_file() and _read(started, command) != command:
            raise UserError(f'{folder} holds a run of a different command, see {started}: choose another --work-dir')
        kept = finished if finished.is_file() else started if started.is_file() and last.is_file() else None
        if kept and init == PRETRAINED and self.checkpoint.exists() and _written(self.checkpoint) > _written(kept):
            what = 'the result in' if kept == finished else 'the start of the interrupted run in'
            raise UserError(
                f'{self.checkpoint} was written after {what} {folder}: delete {folder} to run it again, or choose '
                'another --work-dir'
            )
        if finished.is_file():
            return Result(**json.loads(finished.read_text()))
        folder.mkdir(parents=True, exist_ok=True)
        if not last.is_file() or not started.is_file():  # else its time stays that of the first start
            started.write_text(json.dumps(command))
        resume = [*protocol.resume] if last.is_file() else []
        start = time.monotonic()
        with open(folder / 'log.txt', 'w') as log:
            done = subprocess.run(
                [sys.executable, *command, *resume], cwd=self.root, stdout=log, stderr=subprocess.STDOUT, check=False
            )
        result = Result(protocol.name, init, seed, None, time.monotonic() - start, command)
        value = read_metric(folder, protocol.metric) if done.returncode == 0 else None
        if value is None:
            ended = f'exit code {done.returncode}' if done.returncode else f'no {protocol.metric} among its metrics'
            tail = (folder / 'log.txt').read_text(errors='replace').splitlines()[-_TAIL:]
            result.error = '\n'.join([f'{ended}; the end of {folder / "log.txt"}:', *tail])
            return result
        result.value = value * protocol.scale
        finished.with_suffix('.tmp').write_text(json.dumps(asdict(result), indent=2))
        replace_file(finished.with_suffix('.tmp'), finished)
        return result

    def command(self, protocol: Protocol, init: str, seed: int, folder: Path) -> list[str]:
        """Returns the arguments of Python for one run."""
        values = dict(
            checkpoint=self.checkpoint, data=self.data_root, seed=seed, work_dir=folder, out=folder / 'metrics.json'
        )
        extra = protocol.pretrained if init == PRETRAINED else protocol.random
        return [argument.format(**values) for argument in (*protocol.command, *extra)]


def _read(file: Path, default: Any) -> Any:
    """Returns the content of a JSON file; ``default`` if the process that wrote it was killed."""
    try:
        return json.loads(file.read_text())
    except json.JSONDecodeError:
        return default


def _written(path: Path) -> int:
    return path.stat().st_mtime_ns


def read_metric(folder: Path, metric: str) -> float | None:
    """Returns the last value of ``metric`` that a run wrote, None if there is none or if it is not finite.

    The value of the newest ``scalars.json`` takes precedence over that of ``metrics.json``.
    """
    written = folder / 'metrics.json'
    entries = [json.loads(written.read_text())] if written.is_file() else []
    for log in sorted(folder.glob('*/vis_data/scalars.json')):
        entries += read_scalars(log)
    values = [entry[metric] for entry in entries if metric in entry]
    return float(values[-1]) if values and math.isfinite(values[-1]) else None


def summarize(results: Sequence[Result]) -> dict[str, dict[str, tuple[float, float, int]]]:
    """Returns protocol -> initialisation -> (mean, standard deviation, number of successful runs).

    The standard deviation of a single run is 0.
    """
    summary: dict[str, dict[str, tuple[float, float, int]]] = {}
    for result in results:
        summary.setdefault(result.protocol, {})
    for name, inits in summary.items():
        for init in (RANDOM, PRETRAINED):
            found = [r.value for r in results if (r.protocol, r.init) == (name, init) and r.value is not None]
            if found:
                inits[init] = (fmean(found), stdev(found) if len(found) > 1 else 0.0, len(found))
    return summary


def report(protocols: Sequence[Protocol], results: Sequence[Result], facts: Mapping[str, Any]) -> str:
    """Returns the results as Markdown: a table of mean ± standard deviation over seeds, then the failed runs.

    Args:
        protocols: Protocols in the order of the table.
        results: Results of the runs.
        facts: Name -> value of further facts above the table, such as the checkpoint.
    """
    summary = summarize(results)
    lines = ['# Downstream results', '', *(f'- {name}: {value}' for name, value in facts.items()), '']
    lines += ['| protocol | metric | random init | pre-trained | difference | runs |', '|---|---|---|---|---|---|']
    for protocol in protocols:
        inits = summary.get(protocol.name, {})
        cells = [_cell(*numbers) for numbers in _both(inits)]
        gain = f'{inits[PRETRAINED][0] - inits[RANDOM][0]:+.2f}' if len(inits) == 2 else ''
        runs = ' + '.join(str(count) for _, _, count in _both(inits))
        row = [protocol.title or protocol.name, protocol.metric, *cells, gain, runs]
        lines.append(f'| {" | ".join(row)} |')
    failed = [result for result in results if result.value is None]
    if failed:
        lines += ['', '## Failed', '']
        for result in failed:
            lines += [f'{result.protocol}, {result.init}, seed {result.seed}:', '', '```', result.error, '```', '']
    return '\n'.join(lines).rstrip() + '\n'


def _both(inits: Mapping[str, tuple[float, float, int]]) -> list[tuple[float, float, int]]:
    return [inits.get(init, (math.nan, 0.0, 0)) for init in (RANDOM, PRETRAINED)]


def _cell(mean: float, spread: float, count: int) -> str:
    if count == 0:
        return 'no run'
    return f'{mean:.2f} ± {spread:.2f}' if count > 1 else f'{mean:.2f}'

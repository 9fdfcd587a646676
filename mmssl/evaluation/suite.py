"""A suite of downstream protocols, run one after the other on a checkpoint and on random initialisation.

Every run (protocol, initialisation, seed) is a process of its own with a folder of its own. Its result is a file there,
so a suite that was stopped goes on where it was, and a run that fails costs no other.
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
_TAIL = 15  # lines of a failed run's log that the report repeats


@dataclass(frozen=True)
class Protocol:
    """How one figure is obtained.

    In ``command`` and the lists after it ``{checkpoint}``, ``{data}``, ``{seed}``, ``{work_dir}`` and ``{out}`` stand
    for the checkpoint, the folder of the data, the seed, the folder of the run, and a JSON file in it.

    Args:
        name: Name of the folder of its runs.
        metric: Key of the figure, in ``{out}`` or in the ``scalars.json`` that a training run writes (the last value).
        command: A tool of this repository and its arguments, the same for both initialisations.
        pretrained: Arguments that a run on the checkpoint has besides.
        random: Arguments that a run on random initialisation has besides.
        title: What stands in the table.
        resume: Arguments with which a run that was interrupted goes on; empty where it begins anew.
        scale: Factor of the figure, 100 where the metric is a fraction.
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
    """What became of one run.

    Args:
        protocol: Name of the protocol.
        init: ``'pretrained'`` or ``'random'``.
        seed: Seed of the run.
        value: The figure, None where the run failed.
        seconds: How long the run took.
        command: What was run.
        error: The end of the log of a run that failed.
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
        suite: A name in ``configs/benchmarks/suites/``, or a path.
        root: The repository.

    Raises:
        UserError: There is no such suite, it has no protocols, or a protocol lacks an argument or has one too many.
    """
    folder = root / 'configs' / 'benchmarks' / 'suites'
    path = Path(suite) if suite.endswith('.py') else folder / f'{suite}.py'
    if not path.is_file():
        offered = sorted(file.stem for file in folder.glob('*.py'))
        hint = did_you_mean(suite, offered)
        raise UserError(f'there is no suite {suite!r}{hint}; those of {folder} are {", ".join(offered)}')
    protocols = Config.fromfile(path).get('protocols')
    if not protocols:
        raise UserError(f'{path} has no protocols = dict(NAME=dict(metric=..., command=[...]), ...)')
    try:
        return [Protocol(name=name, **arguments) for name, arguments in protocols.items()]
    except TypeError as error:
        raise UserError(f'{path}: {error}') from error


class Suite:
    """Runs protocols and remembers their results.

    Args:
        protocols: What to run.
        checkpoint: The checkpoint, an absolute path.
        data_root: Folder of the datasets.
        work_dir: Where runs and results go.
        root: The repository, in which the commands run.
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
        """Runs what has no result yet, and returns all results; runs that failed before are tried again."""
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
        """Runs a protocol once, or reads the result that an earlier call left.

        Raises:
            UserError: The folder of the run holds a run of another command, of another checkpoint for instance.
        """
        folder = self.work_dir / protocol.name / init / f'seed{seed}'
        command = self.command(protocol, init, seed, folder)
        started, finished = folder / 'command.json', folder / 'result.json'
        if started.is_file() and json.loads(started.read_text()) != command:
            raise UserError(f'{folder} holds a run of another command, see {started}: choose another --work-dir')
        if finished.is_file():
            return Result(**json.loads(finished.read_text()))
        folder.mkdir(parents=True, exist_ok=True)
        started.write_text(json.dumps(command))
        resume = [*protocol.resume] if (folder / 'last_checkpoint').is_file() else []
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
        """The arguments of Python for one run."""
        values = dict(
            checkpoint=self.checkpoint, data=self.data_root, seed=seed, work_dir=folder, out=folder / 'metrics.json'
        )
        extra = protocol.pretrained if init == PRETRAINED else protocol.random
        return [argument.format(**values) for argument in (*protocol.command, *extra)]


def read_metric(folder: Path, metric: str) -> float | None:
    """The last finite value of ``metric`` that a run wrote: in ``metrics.json``, or in the newest ``scalars.json``."""
    written = folder / 'metrics.json'
    entries = [json.loads(written.read_text())] if written.is_file() else []
    for log in sorted(folder.glob('*/vis_data/scalars.json')):
        entries += read_scalars(log)
    values = [entry[metric] for entry in entries if metric in entry]
    return float(values[-1]) if values and math.isfinite(values[-1]) else None


def summarize(results: Sequence[Result]) -> dict[str, dict[str, tuple[float, float, int]]]:
    """Protocol -> initialisation -> mean, standard deviation (0 for one run) and number of the runs that succeeded."""
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
    """The table, in Markdown: mean ± standard deviation over seeds, and below it what failed.

    Args:
        protocols: What was run.
        results: What came of it.
        facts: What else a reader must know, such as the checkpoint, by name.
    """
    summary = summarize(results)
    lines = ['# Downstream results', '', *(f'- {name}: {value}' for name, value in facts.items()), '']
    lines += ['| protocol | metric | random init | pre-trained | difference | runs |', '|---|---|---|---|---|---|']
    for protocol in protocols:
        inits = summary.get(protocol.name, {})
        cells = [f'{mean:.2f} ± {spread:.2f}' if count > 1 else f'{mean:.2f}' for mean, spread, count in _both(inits)]
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

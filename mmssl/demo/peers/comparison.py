"""Runs of methods in several toolboxes: each in a process of its own, none made twice, none lost to a failed one."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmssl.checkpoints.files import replace_file
from mmssl.utils.errors import UserError

EXACT = 'float64'
_TAIL = 8  # lines of the log of a failed run in the table

Train = Callable[[str, str, int, Path], dict[str, Any]]


@dataclass
class PeerRun:
    """A finished or failed run.

    Args:
        method: Name of the method.
        toolbox: Name of the toolbox; ``EXACT`` for the comparison of all of them in float64.
        seed: Seed of the run.
        results: Result of ``train``; None if the run failed.
        error: End of the log of a failed run.
    """

    method: str
    toolbox: str
    seed: int
    results: dict[str, Any] | None
    error: str = ''


class Comparison:
    """Runs every method in every toolbox and stores the results.

    A run is a fork of this process, so modules are imported once, and its peak of memory is its own.

    Args:
        train: Function of method, toolbox, seed and an empty folder that returns what JSON can hold.
        options: Budget and images, the same for all runs; they are stored beside the results.
        work_dir: Folder for runs and tables.
    """

    def __init__(self, train: Train, options: dict[str, Any], work_dir: Path) -> None:
        self.train, self.options, self.work_dir = train, options, work_dir

    def run(
        self,
        methods: Sequence[str],
        toolboxes: Sequence[str],
        seeds: Sequence[int],
        after_each: Callable[[list[PeerRun]], None] = lambda runs: None,
    ) -> list[PeerRun]:
        """Makes all runs that are not finished, failed ones again, and returns them.

        Finished runs of other methods, toolboxes and seeds in the folder belong to the table too. The comparison in
        float64 is made for the first seed only.

        Args:
            methods: Names of methods.
            toolboxes: Names of toolboxes, ``EXACT`` among them.
            seeds: Seeds. All methods and toolboxes get the first seed before one gets the second.
            after_each: Function that is called with the runs so far, to write the tables.
        """
        runs = {(run.method, run.toolbox, run.seed): run for run in self._finished()}
        for seed in seeds:
            for method in methods:
                for toolbox in toolboxes:
                    if toolbox == EXACT and seed != seeds[0]:
                        continue
                    run = runs[method, toolbox, seed] = self.run_one(method, toolbox, seed)
                    print(f'{method}, {toolbox}, seed {seed}: {run.error or "done"}', flush=True)
                    after_each(list(runs.values()))
        return list(runs.values())

    def _finished(self) -> list[PeerRun]:
        files = sorted(self.work_dir.glob('*/*/seed*/run.json'))
        return [
            PeerRun(**json.loads(file.read_text()))
            for file in files
            if json.loads(file.with_name('options.json').read_text()) == self.options
        ]

    def run_one(self, method: str, toolbox: str, seed: int) -> PeerRun:
        """Makes a run, or reads the result of an earlier one.

        Raises:
            UserError: The folder of the run holds a run with another budget or other images.
        """
        folder = self.work_dir / method / toolbox / f'seed{seed}'
        started, finished, log = (folder / name for name in ('options.json', 'run.json', 'log.txt'))
        if started.is_file() and json.loads(started.read_text()) != self.options:
            raise UserError(f'{folder} holds a run with other options, see {started}: choose another --work-dir')
        if finished.is_file():
            return PeerRun(**json.loads(finished.read_text()))
        folder.mkdir(parents=True, exist_ok=True)
        started.write_text(json.dumps(self.options))
        made = folder / 'result.json'
        process = multiprocessing.get_context('fork').Process(
            target=_store, args=(self.train, (method, toolbox, seed, folder), made, log)
        )
        process.start()
        process.join()
        if process.exitcode:
            tail = log.read_text(errors='replace').strip().splitlines()[-_TAIL:]
            lines = [f'exit code {process.exitcode}; the end of {log}:', *tail]
            return PeerRun(method, toolbox, seed, None, '\n'.join(lines))
        run = PeerRun(method, toolbox, seed, json.loads(made.read_text()))
        made.write_text(json.dumps(vars(run), indent=2) + '\n')
        replace_file(made, finished)
        return run


def _store(train: Train, arguments: tuple[str, str, int, Path], made: Path, log: Path) -> None:
    """Trains in a process of its own, whose output goes into ``log``, and writes the result into ``made``."""
    with open(log, 'w') as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        try:
            made.write_text(json.dumps(train(*arguments)))
        except BaseException:
            traceback.print_exc(file=output)
            sys.exit(1)

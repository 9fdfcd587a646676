"""A progress bar for a person who watches."""

from __future__ import annotations

import atexit
import logging
import sys
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmssl.registry import HOOKS


@HOOKS.register_module()
class ProgressBarHook(Hook):
    """Shows the position in the run below the log lines when the output is a terminal, and nothing otherwise."""

    priority = 'LOW'

    def __init__(self) -> None:
        self.bar: Progress | None = None

    def before_train(self, runner: Runner) -> None:
        """Shows the bar; log lines are printed above it from now on."""
        if not (is_main_process() and sys.stdout.isatty()):
            return
        self.bar = Progress(
            TextColumn('epoch {task.fields[epoch]}'),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            transient=True,
        )
        self.bar.start()
        atexit.register(self.bar.stop)  # gives the terminal back after an error, too
        self.task = self.bar.add_task('', total=runner.max_iters, completed=runner.iter, epoch=runner.epoch + 1)
        # rich puts what is written to sys.stdout above the bar; the handlers hold the stream of before.
        self.streams = [
            (handler, handler.setStream(sys.stdout))
            for handler in runner.logger.handlers
            if type(handler) is logging.StreamHandler
        ]

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Moves the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=runner.iter + 1, epoch=runner.epoch + 1)

    def after_train(self, runner: Runner) -> None:
        """Removes the bar and gives the log handlers their streams back."""
        if self.bar is not None:
            self.bar.stop()
            for handler, stream in self.streams:
                handler.setStream(stream)
            self.bar = None

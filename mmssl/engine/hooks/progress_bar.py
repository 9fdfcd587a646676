"""Shows a progress bar in a terminal."""

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
    """Shows the position in the run below the log lines if the output is a terminal."""

    priority = 'LOW'

    def __init__(self) -> None:
        self.bar: Progress | None = None

    def before_train(self, runner: Runner) -> None:
        """Shows the bar and redirects log lines, which are then printed above it."""
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
        atexit.register(self.bar.stop)  # of a process that ends within the training
        self.task = self.bar.add_task('', total=runner.max_iters, completed=runner.iter, epoch=runner.epoch + 1)
        # rich replaces sys.stdout to print above the bar; the log handlers still hold the old stream.
        self.streams = [
            (handler, handler.setStream(sys.stdout))
            for handler in runner.logger.handlers
            if type(handler) is logging.StreamHandler
        ]
        at_end: Any = getattr(runner, 'at_end_of_training', None)
        if at_end is not None:  # after an error, too
            at_end.callback(self._remove)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Updates the bar."""
        if self.bar is not None:
            self.bar.update(self.task, completed=runner.iter + 1, epoch=runner.epoch + 1)

    def after_train(self, runner: Runner) -> None:
        """Removes the bar and restores the streams of the log handlers."""
        self._remove()

    def _remove(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            for handler, stream in self.streams:
                handler.setStream(stream)
            self.bar = None

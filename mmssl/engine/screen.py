"""Keeps some log messages off the screen; the log file holds all messages."""

from __future__ import annotations

import logging

# First words of messages of MMEngine: environment, config, order of the hooks and options of parameters are long; the
# last two warn of a class that MMEngine's own CheckpointHook uses.
_HIDDEN = ('\n------', 'Config:\n', 'Hooks will be executed', 'paramwise_options', '"FileClient"', '"HardDiskBackend"')


class ScreenFilter(logging.Filter):
    """Drops long messages at the start of a run, and warnings that are not for the user."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns True if the record is to be shown."""
        return not record.getMessage().startswith(_HIDDEN)


def keep_screen_short(logger: logging.Logger) -> None:
    """Writes what ``ScreenFilter`` drops to the log file of ``logger`` only; a logger without a file still shows it."""
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    for handler in logger.handlers:
        if files and handler not in files and not any(isinstance(f, ScreenFilter) for f in handler.filters):
            handler.addFilter(ScreenFilter())

"""Keeps long log messages off the screen; the log file holds all messages."""

from __future__ import annotations

import logging

# First words of the long messages of MMEngine: environment, config, order of the hooks, options of parameters.
_LONG = ('\n------', 'Config:\n', 'Hooks will be executed', 'paramwise_options')


class ScreenFilter(logging.Filter):
    """Drops the long messages at the start of a run."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Returns True if the record is to be shown."""
        return not record.getMessage().startswith(_LONG)


def keep_screen_short(logger: logging.Logger) -> None:
    """Writes the long messages of ``logger`` to its log file only; a logger without a file still shows them."""
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    for handler in logger.handlers:
        if files and handler not in files and not any(isinstance(f, ScreenFilter) for f in handler.filters):
            handler.addFilter(ScreenFilter())

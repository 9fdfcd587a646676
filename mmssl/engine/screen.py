"""What of a log goes to the screen: the file beside it holds everything."""

from __future__ import annotations

import logging

# How the long messages of MMEngine begin: environment, config, order of the hooks, options of single parameters.
_LONG = ('\n------', 'Config:\n', 'Hooks will be executed', 'paramwise_options')


class ScreenFilter(logging.Filter):
    """Passes over the messages that would push the start of a run off the screen."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record is shown."""
        return not record.getMessage().startswith(_LONG)


def keep_screen_short(logger: logging.Logger) -> None:
    """Lets long messages of ``logger`` go to its files alone; a logger without a file keeps all of them."""
    files = [handler for handler in logger.handlers if isinstance(handler, logging.FileHandler)]
    for handler in logger.handlers:
        if files and handler not in files and not any(isinstance(f, ScreenFilter) for f in handler.filters):
            handler.addFilter(ScreenFilter())

"""How a command-line tool ends when its user made a mistake."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from mmengine.dist import is_distributed

from mmssl.distributed.launch import leave_processes
from mmssl.utils.errors import user_message

_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


_OTHER_RANKS_WAIT = 15.0  # seconds in which the launcher ends a process whose rank 0 failed as well


def tool(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a tool's ``main``: a user's mistake ends in its one message and exit code 2.

    A mistake is a ``UserError``, a ``ValueError`` or ``FileNotFoundError`` that a ``raise`` of mmssl itself raised,
    whose message says what was wrong and what would be right, a file that does not exist, or what MMEngine raised
    while it built a part, such as a missing argument.
    Everything else is unexpected and keeps its traceback, and with the
    environment variable ``MMSSL_DEBUG=1`` a mistake does so too. Of several processes the first one prints; another
    prints only when it is still alive some seconds later, that is, when the mistake was its own.
    """

    @functools.wraps(main)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        failed, joined_before = True, is_distributed()
        try:
            result = main(*args, **kwargs)
            failed = False
        except (ValueError, FileNotFoundError, TypeError, KeyError, ImportError) as error:
            message = user_message(error)
            if message is None or os.environ.get('MMSSL_DEBUG', '0') != '0':
                raise
            _report(message)
        finally:
            if not joined_before:
                leave_processes(failed)
        if failed:
            sys.exit(2)  # here, where nothing of the failed run is referred to any more
        return result

    return wrapper


def _report(message: str) -> None:
    """Prints the message to stderr, once for all processes of a run."""
    rank = next((int(os.environ[name]) for name in _RANK_VARIABLES if name in os.environ), 0)
    if rank > 0:
        time.sleep(_OTHER_RANKS_WAIT)
    sys.stdout.flush()
    place = f'error on process {rank}' if rank > 0 else 'error'
    print(f'{place}: {message}', file=sys.stderr, flush=True)

"""What every command-line tool shares: the way mistakes end."""

from __future__ import annotations

import functools
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from mmssl.utils.errors import UserError

_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
_OTHER_RANKS_WAIT = 5.0  # seconds in which the launcher ends a process whose rank 0 failed as well


def tool(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a tool's ``main``: a user's mistake ends in its one message and exit code 2.

    A mistake is a ``UserError``, a ``ValueError`` or ``FileNotFoundError`` that mmssl itself raised, whose messages say
    what was wrong and what would be right, or what MMEngine raised while it built a part, such as a missing argument.
    Everything else is unexpected and keeps its traceback, and with the
    environment variable ``MMSSL_DEBUG=1`` a mistake does so too. Of several processes the first one prints; another
    prints only when it is still alive some seconds later, that is, when the mistake was its own.
    """

    @functools.wraps(main)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return main(*args, **kwargs)
        except (ValueError, FileNotFoundError, TypeError, KeyError) as error:
            if os.environ.get('MMSSL_DEBUG', '0') != '0' or not is_user_error(error):
                raise
            _report(error)
            sys.exit(2)

    return wrapper


def is_user_error(error: BaseException) -> bool:
    """Whether the message of ``error`` tells the user what to do; see ``tool``."""
    if isinstance(error, UserError):
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = frame.f_globals.get('__name__', '')
    if isinstance(error, (TypeError, KeyError)):
        return module.startswith('mmengine.registry')
    return module.split('.')[0] == 'mmssl'


def _report(error: BaseException) -> None:
    """Prints the message to stderr, once for all processes of a run."""
    rank = next((int(os.environ[name]) for name in _RANK_VARIABLES if name in os.environ), 0)
    if rank > 0:
        time.sleep(_OTHER_RANKS_WAIT)
    sys.stdout.flush()
    place = f'error on process {rank}' if rank > 0 else 'error'
    message = error.args[0] if isinstance(error, KeyError) else error
    print(f'{place}: {message}', file=sys.stderr, flush=True)

"""What every command-line tool shares: the way mistakes end."""

from __future__ import annotations

import functools
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmssl.utils.errors import UserError

_PACKAGE = str(Path(__file__).parents[1])
_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
_OTHER_RANKS_WAIT = 15.0  # seconds in which the launcher ends a process whose rank 0 failed as well


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
            message = user_message(error)
            if message is None or os.environ.get('MMSSL_DEBUG', '0') != '0':
                raise
            _report(message)
            sys.exit(2)

    return wrapper


def user_message(error: BaseException) -> str | None:
    """What to tell the user about ``error``, None when it is no mistake of a user; see ``tool``."""
    if in_worker := re.match(r'Caught \w+ in DataLoader worker', str(error)):
        # torch raises an error of a worker again, with the worker's traceback as its message
        frames = re.findall(r'^  File "(.+?)", line', str(error)[in_worker.end() :], re.MULTILINE)
        is_own = frames and frames[-1].startswith(_PACKAGE)
        return re.split(r'^\S*Error: ', str(error), flags=re.MULTILINE)[-1] if is_own else None
    if isinstance(error, UserError):
        return str(error)
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = frame.f_globals.get('__name__', '')
    if isinstance(error, (TypeError, KeyError)):
        return str(error.args[0]) if module.startswith('mmengine.registry') else None
    return str(error) if module.split('.')[0] == 'mmssl' else None


def _report(message: str) -> None:
    """Prints the message to stderr, once for all processes of a run."""
    rank = next((int(os.environ[name]) for name in _RANK_VARIABLES if name in os.environ), 0)
    if rank > 0:
        time.sleep(_OTHER_RANKS_WAIT)
    sys.stdout.flush()
    place = f'error on process {rank}' if rank > 0 else 'error'
    print(f'{place}: {message}', file=sys.stderr, flush=True)

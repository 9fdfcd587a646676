"""The end of a command-line tool after a mistake of its user."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from mmssl.utils.errors import user_message

_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')


# Seconds that other ranks wait before they print: if rank 0 failed too, the launcher ends them first.
_OTHER_RANKS_WAIT = 15.0


def tool(main: Callable[..., Any]) -> Callable[..., Any]:
    """Decorates a tool's ``main``: a mistake of the user ends in one message and exit code 2.

    A mistake is a ``UserError``, a ``ValueError`` or ``OSError`` that code of mmssl raises, a file that does not exist,
    a path that cannot be read or written, a full disk, or an error that MMEngine raises while it builds a part, such
    as a missing argument. A worker or another process that died is reported in the same way. All other errors keep
    their traceback, and so do mistakes if the environment variable ``MMSSL_DEBUG`` is 1. Rank 0 prints at once. Other
    ranks print some seconds later if they still run, which means that only they failed.
    """

    @functools.wraps(main)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        failed, joined_before = True, _is_distributed()
        try:
            result = main(*args, **kwargs)
            failed = False
        except (ValueError, OSError, TypeError, KeyError, ImportError, RuntimeError) as error:
            message = user_message(error)
            if message is None or os.environ.get('MMSSL_DEBUG', '0') != '0':
                raise
            _report(message)
        finally:
            if not joined_before and 'torch' in sys.modules:  # else it ended while it read its arguments
                from mmssl.distributed.launch import leave_processes

                leave_processes(failed)
        if failed:
            sys.exit(2)  # outside the except block, whose traceback would keep the runner, and with it DDP, alive
        return result

    return wrapper


def _is_distributed() -> bool:
    """Returns whether this process belongs to a process group, without importing torch."""
    distributed = sys.modules.get('torch.distributed')
    return distributed is not None and distributed.is_available() and distributed.is_initialized()


def _report(message: str) -> None:
    """Prints the message to stderr, once for all processes of a run."""
    rank = next((int(os.environ[name]) for name in _RANK_VARIABLES if name in os.environ), 0)
    if rank > 0:
        time.sleep(_OTHER_RANKS_WAIT)
    sys.stdout.flush()
    place = f'error on process {rank}' if rank > 0 else 'error'
    print(f'{place}: {message}', file=sys.stderr, flush=True)

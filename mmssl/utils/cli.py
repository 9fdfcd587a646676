"""What the command-line tools share: options, and the way mistakes end."""

from __future__ import annotations

import argparse
import functools
import os
import re
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmengine.config import DictAction

from mmssl.utils.errors import UserError
from mmssl.utils.launch import LAUNCHERS

_PACKAGE = str(Path(__file__).parents[1])
_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
_OTHER_RANKS_WAIT = 15.0  # seconds in which the launcher ends a process whose rank 0 failed as well


class CfgOptions(DictAction):
    """``KEY=VALUE ...`` on the command line; MMEngine's action, which ends a forgotten ``=`` in a traceback."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        wrong = [value for value in values if '=' not in value]
        if wrong:
            parser.error(f'{option_string} takes KEY=VALUE, got {" ".join(wrong)!r}')
        super().__call__(parser, namespace, values, option_string)


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every tool that runs a config takes: ``--work-dir --cfg-options --launcher --local_rank``."""
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='settings that override the config'
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='what started this process')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')


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

"""What the command-line tools share: options, and the way mistakes end."""

from __future__ import annotations

import argparse
import dis
import functools
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from mmengine.dist import is_distributed

from mmssl.config.options import Options
from mmssl.utils.errors import UserError
from mmssl.utils.launch import LAUNCHERS, leave_processes

_PACKAGE = str(Path(__file__).parents[1])
_RANK_VARIABLES = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
_OTHER_RANKS_WAIT = 15.0  # seconds in which the launcher ends a process whose rank 0 failed as well


class CfgOptions(argparse.Action):
    """``KEY=VALUE ...`` on the command line, as ``Options``."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Any, values: Any, option_string: Any = None) -> None:
        wrong = [value for value in values if '=' not in value]
        if wrong:
            parser.error(f'{option_string} takes KEY=VALUE, got {" ".join(wrong)!r}')
        options = getattr(namespace, self.dest, None) or Options()
        try:
            for value in values:
                options.add(*value.split('=', maxsplit=1))
        except UserError as error:
            parser.error(str(error))
        setattr(namespace, self.dest, options)


def whole_number(text: str) -> int:
    """The type of an option that takes 0, 1, 2 and so on."""
    try:
        number = int(text)
    except ValueError:
        number = -1
    if number < 0:
        raise argparse.ArgumentTypeError(f'takes a whole number of at least 0, such as 7, got {text!r}')
    return number


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every tool that runs a config takes: ``--work-dir --cfg-options --launcher --local_rank``."""
    parser.add_argument('--work-dir', help='where logs and checkpoints go (default: work_dirs/<config name>)')
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='settings that override the config'
    )
    parser.add_argument('--launcher', choices=LAUNCHERS, default='none', help='what started this process')
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help='set by some launchers')


def add_transfer_options(parser: argparse.ArgumentParser) -> None:
    """Adds what a training on pre-trained weights takes: ``--pretrained --use-teacher --prefix``."""
    parser.add_argument(
        '--pretrained', metavar='CHECKPOINT', help='begin with the backbone (and its neck) of a checkpoint of any kind'
    )
    parser.add_argument('--use-teacher', action='store_true', help='take the averaged networks of the checkpoint')
    parser.add_argument('--prefix', help="what precedes the backbone's names in a checkpoint of an unknown kind")


def transfer_options(args: argparse.Namespace) -> dict[str, Any]:
    """The arguments of ``TransferHook`` on the command line, none without ``--pretrained``.

    Raises:
        UserError: The checkpoint does not exist, or there is none.
    """
    if args.pretrained is None:
        if args.use_teacher or args.prefix is not None:
            raise UserError('--use-teacher and --prefix say what of a checkpoint to take: name it by --pretrained')
        return {}
    if '://' not in args.pretrained and not Path(args.pretrained).is_file():
        raise UserError(f'checkpoint {args.pretrained!r} does not exist')
    return dict(checkpoint=args.pretrained, use_teacher=args.use_teacher, prefix=args.prefix)


def add_trained_options(parser: argparse.ArgumentParser) -> None:
    """Adds what every tool that looks into checkpoints takes: ``--compare --names --config --prefix --cfg-options``."""
    parser.add_argument('--compare', nargs='+', default=[], metavar='CHECKPOINT', help='further checkpoints')
    parser.add_argument('--names', nargs='+', metavar='NAME', help='titles, one per checkpoint (default: file names)')
    parser.add_argument(
        '--config', nargs='+', metavar='CONFIG', help='in place of the configs in the checkpoints: one, or one each'
    )
    parser.add_argument('--prefix', help="what precedes the backbone's names in the file, e.g. teacher.backbone")
    parser.add_argument(
        '--cfg-options', nargs='+', action=CfgOptions, metavar='KEY=VALUE', help='settings that override the configs'
    )


def trained_options(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """Title -> arguments of ``load_trained`` for the checkpoints that were named, the first one's first.

    Raises:
        UserError: There are more or fewer titles or configs than checkpoints, or two equal titles.
    """
    checkpoints = [args.checkpoint, *args.compare]
    names = args.names or _short_names(checkpoints)
    configs = args.config or [None]
    configs = configs * len(checkpoints) if len(configs) == 1 else configs
    if not len(set(names)) == len(names) == len(configs) == len(checkpoints):
        raise UserError(
            f'{len(checkpoints)} checkpoints need as many different titles (--names has {len(names)}: '
            f'{", ".join(names)}) and one config or as many (--config has {len(args.config or ())})'
        )
    shared = dict(cfg_options=args.cfg_options, prefix=args.prefix)
    return {
        name: dict(checkpoint=checkpoint, config=config, **shared)
        for name, checkpoint, config in zip(names, checkpoints, configs)
    }


def _short_names(checkpoints: list[str]) -> list[str]:
    """File names, and folders before them as far as needed to tell the files apart."""
    parts = [Path(checkpoint).with_suffix('').parts for checkpoint in checkpoints]
    longest = max(map(len, parts))
    for length in range(1, longest + 1):
        names = ['/'.join(part[-length:]) for part in parts]
        if len(set(names)) == len(names):
            break
    return names


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


def user_message(error: BaseException) -> str | None:
    """What to tell the user about ``error``, None when it is no mistake of a user; see ``tool``."""
    if in_worker := re.match(r'Caught \w+ in DataLoader worker', str(error)):
        # torch raises an error of a worker again, with the worker's traceback as its message
        frames = re.findall(r'^  File "(.+?)", line.*\n +(\S+)', str(error)[in_worker.end() :], re.MULTILINE)
        is_own = frames and frames[-1][0].startswith(_PACKAGE) and frames[-1][1] == 'raise'
        return re.split(r'^\S*Error: ', str(error), flags=re.MULTILINE)[-1] if is_own else None
    if isinstance(error, UserError):
        return str(error)
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = frame.f_globals.get('__name__', '')
    if isinstance(error, (TypeError, KeyError)):
        return str(error.args[0]) if module.startswith('mmengine.registry') else None
    if isinstance(error, ImportError):  # a package that only some settings need
        return str(error).strip() if 'pip install' in str(error) and _is_deliberate(error) else None
    is_own = module.split('.')[0] == 'mmssl'
    if isinstance(error, FileNotFoundError) and is_own and error.filename is not None:  # of open(), say
        return f'{error.filename!r} does not exist'
    return str(error) if is_own and _is_deliberate(error) else None


def _is_deliberate(error: BaseException) -> bool:
    """Whether a ``raise`` statement raised the error, and not an operation, such as ``int()``, that failed."""
    *_, last = _frames(error.__traceback__)
    code = last.tb_frame.f_code.co_code
    return code[last.tb_lasti] == dis.opmap['RAISE_VARARGS']


def _frames(traceback_: TracebackType | None) -> Iterator[TracebackType]:
    while traceback_ is not None:
        yield traceback_
        traceback_ = traceback_.tb_next


def _report(message: str) -> None:
    """Prints the message to stderr, once for all processes of a run."""
    rank = next((int(os.environ[name]) for name in _RANK_VARIABLES if name in os.environ), 0)
    if rank > 0:
        time.sleep(_OTHER_RANKS_WAIT)
    sys.stdout.flush()
    place = f'error on process {rank}' if rank > 0 else 'error'
    print(f'{place}: {message}', file=sys.stderr, flush=True)

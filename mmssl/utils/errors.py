"""The error for mistakes of a user, and the message that a tool prints for it."""

from __future__ import annotations

import dis
import errno
import re
import traceback
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from types import TracebackType


class UserError(ValueError):
    """A mistake in a command, a config, a path or a file. Its message says what to do.

    The tools print the message without a traceback.
    """


def did_you_mean(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """Returns the clause ``; did you mean 'X'?`` with the candidates most similar to ``name``.

    Args:
        name: Name that the user wrote.
        candidates: Valid names.
        cutoff: Smallest similarity of a suggestion, in [0, 1].

    Returns:
        The clause with up to three suggestions, an empty string if no candidate is similar enough.
    """
    by_lower_case = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(name.lower(), by_lower_case, n=3, cutoff=cutoff)
    similarity = [SequenceMatcher(a=match, b=name.lower()).ratio() for match in matches]
    # With mmdet loaded a registry holds hundreds of unrelated names: drop those much less similar than the best one.
    near = [by_lower_case[match] for match, value in zip(matches, similarity) if value > similarity[0] - 0.15]
    return f'; did you mean {" or ".join(map(repr, near))}?' if near else ''


def some(names: Iterable[str], limit: int = 10) -> str:
    """Lists names in a message: the first ``limit`` of them and how many there are, ``'none'`` if there are none."""
    names = list(names)
    return ', '.join(names[:limit]) + (f', ... ({len(names)} in all)' if len(names) > limit else '') or 'none'


# Messages of torch when a part of a run is gone -> what a tool prints.
_LOST = {
    r'DataLoader worker \(pid\D*\d.*(exited unexpectedly|killed by signal)': (
        'a process that loads images was ended from outside, by the system if memory ran out: set '
        'train_dataloader.num_workers lower; --resume continues at the last checkpoint'
    ),
    r'Connection (closed|reset) by peer|[Tt]imed out|[Ww]atchdog': (
        'another process of the run was ended or does not answer: see its message, or the log of its machine; '
        '--resume continues at the last checkpoint'
    ),
}
# Errors that the system reports of a path, and of a disk with no space left.
_OF_PATHS = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR),
    *(errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
}
_OF_FULL_DISKS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PACKAGE = str(Path(__file__).parents[1])


def user_message(error: BaseException) -> str | None:
    """Returns the message that a tool prints for ``error``, None if it is not a user's mistake (see ``tool``)."""
    if in_worker := re.match(r'Caught \w+ in DataLoader worker', str(error)):
        # torch raises the worker's error again in this process, with the worker's traceback as the message
        frames = re.findall(r'^  File "(.+?)", line.*\n +(\S+)', str(error)[in_worker.end() :], re.MULTILINE)
        is_own = frames and frames[-1][0].startswith(_PACKAGE) and frames[-1][1] == 'raise'
        return re.split(r'^\S*Error: ', str(error), flags=re.MULTILINE)[-1] if is_own else None
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, RuntimeError):
        return next((message for lost, message in _LOST.items() if re.search(lost, str(error))), None)
    if isinstance(error, OSError) and error.errno in _OF_FULL_DISKS:  # a write does not know the name of its file
        return (
            f'{error.filename or "a file"} cannot be written ({error.strerror}): free space, or write to another '
            'disk; a training continues at its last checkpoint with --resume'
        )
    if isinstance(error, OSError) and error.errno in _OF_PATHS and error.filename is not None:
        return f'{error.filename!r} cannot be read or written ({error.strerror}): change that, or give another path'
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = frame.f_globals.get('__name__', '')
    if isinstance(error, (TypeError, KeyError)):
        return str(error.args[0]) if module.startswith('mmengine.registry') else None
    if isinstance(error, ImportError):  # an optional package is not installed
        return str(error).strip() if 'pip install' in str(error) and _is_deliberate(error) else None
    is_own = module.split('.')[0] == 'mmssl'
    if isinstance(error, FileNotFoundError) and is_own and error.filename is not None:  # raised by open(), for example
        return f'{error.filename!r} does not exist'
    return str(error) if is_own and _is_deliberate(error) else None


def _is_deliberate(error: BaseException) -> bool:
    """Returns True if a ``raise`` statement raised the error, False if an operation such as ``int()`` did."""
    *_, last = _frames(error.__traceback__)
    code = last.tb_frame.f_code.co_code
    return code[last.tb_lasti] == dis.opmap['RAISE_VARARGS']


def _frames(traceback_: TracebackType | None) -> Iterator[TracebackType]:
    while traceback_ is not None:
        yield traceback_
        traceback_ = traceback_.tb_next

"""The error of a mistake that its author can mend, and how such an error is worded."""

from __future__ import annotations

import dis
import re
import traceback
from collections.abc import Iterable, Iterator
from difflib import SequenceMatcher, get_close_matches
from pathlib import Path
from types import TracebackType


class UserError(ValueError):
    """A mistake in a command, a config, a path or a file; its message alone tells what to do.

    The tools print the message without a traceback.
    """


def did_you_mean(name: str, candidates: Iterable[str], cutoff: float = 0.6) -> str:
    """The clause ``; did you mean 'X'?`` for the nearest candidates, empty when none is near.

    Args:
        name: What was written.
        candidates: What would have been right.
        cutoff: Similarity in [0, 1] from which a candidate counts as near.
    """
    by_lower_case = {candidate.lower(): candidate for candidate in candidates}
    matches = get_close_matches(name.lower(), by_lower_case, n=3, cutoff=cutoff)
    similarity = [SequenceMatcher(a=match, b=name.lower()).ratio() for match in matches]
    # With mmdet the registry holds hundreds of unrelated names: drop those much less similar than the best one.
    near = [by_lower_case[match] for match, value in zip(matches, similarity) if value > similarity[0] - 0.15]
    return f'; did you mean {" or ".join(map(repr, near))}?' if near else ''


def some(names: Iterable[str], limit: int = 10) -> str:
    """Lists names in a message: the first ``limit`` of them and how many there are, ``'none'`` if there are none."""
    names = list(names)
    return ', '.join(names[:limit]) + (f', ... ({len(names)} in all)' if len(names) > limit else '') or 'none'


_PACKAGE = str(Path(__file__).parents[1])


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

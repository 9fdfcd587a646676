"""The error of a mistake that its author can mend, and how such an error is worded."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


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
    near = [by_lower_case[match] for match in get_close_matches(name.lower(), by_lower_case, n=3, cutoff=cutoff)]
    return f'; did you mean {" or ".join(map(repr, near))}?' if near else ''

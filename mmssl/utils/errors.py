"""The error of a mistake that its author can mend, and how such an error is worded."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches


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
    # What is much further away than the nearest is of another library, of which many are loaded beside mmdet.
    near = [by_lower_case[match] for match, value in zip(matches, similarity) if value > similarity[0] - 0.15]
    return f'; did you mean {" or ".join(map(repr, near))}?' if near else ''

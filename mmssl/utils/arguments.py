"""Checks that backbones make of their arguments."""

from __future__ import annotations

from collections.abc import Sequence


def check_choices(**choices: tuple[str, tuple[str, ...]]) -> None:
    """Checks arguments that name one of several ways, ``name=(value, allowed)``.

    Raises:
        ValueError: A value is not allowed.
    """
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(f'{name} must be one of {allowed}, got {value!r}')


def check_block_indices(indices: Sequence[int], depth: int) -> None:
    """Checks the blocks, counted from 0 or from the end, whose outputs are the maps of a plain transformer.

    Raises:
        ValueError: There is none, or one that ``depth`` blocks do not have.
    """
    if not indices or not all(-depth <= index < depth for index in indices):
        raise ValueError(f'out_indices must name blocks 0 to {depth - 1}, got {indices}')

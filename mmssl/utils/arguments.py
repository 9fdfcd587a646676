"""Checks of constructor arguments."""

from __future__ import annotations

from collections.abc import Sequence


def check_choices(**choices: tuple[str, tuple[str, ...]]) -> None:
    """Checks that arguments have one of their allowed values.

    Args:
        **choices: Name of an argument -> (its value, the allowed values).

    Raises:
        ValueError: A value is not allowed.
    """
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise ValueError(f'{name} must be one of {allowed}, got {value!r}')


def check_block_indices(indices: Sequence[int], depth: int) -> None:
    """Checks the ``out_indices`` of a plain transformer, the blocks whose outputs it returns as feature maps.

    Args:
        indices: Indices of blocks; negative ones count from the end.
        depth: Number of blocks.

    Raises:
        ValueError: ``indices`` is empty, or one is out of range.
    """
    if not indices or not all(-depth <= index < depth for index in indices):
        raise ValueError(f'out_indices must name blocks 0 to {depth - 1}, got {indices}')

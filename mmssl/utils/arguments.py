"""Checks of constructor arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


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


def read_group(name: str, value: str | Mapping[str, str], defaults: Mapping[str, str]) -> dict[str, str]:
    """Reads an argument that is a dict of settings, or the value of the first setting.

    Args:
        name: Name of the argument, for the message.
        value: Dict of some settings, or the value of the first key of ``defaults``.
        defaults: Name of a setting -> default value, for all settings.

    Returns:
        Name of a setting -> value, for all settings.

    Raises:
        ValueError: A setting is unknown.
    """
    given = {next(iter(defaults)): value} if isinstance(value, str) else dict(value)
    if not set(given) <= set(defaults):
        raise ValueError(f'{name} must be a value or a dict of {", ".join(defaults)}, got {given}')
    return {**defaults, **given}

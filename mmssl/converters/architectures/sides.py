"""The side of a square of positions."""

from __future__ import annotations

from mmssl.utils.errors import UserError


def square_side(number: int) -> int:
    """Returns the number of rows of a square of ``number`` positions."""
    rows = round(number**0.5)
    if rows * rows != number:
        raise UserError(f'{number} positions do not form a square: give the file of a backbone for square images')
    return rows

"""The grid of patches of a position table.

The length of a table does not determine its grid: 64 rows are a grid of 8 x 8 or of 4 x 16. A backbone therefore writes
its grid into the metadata of its state dict, and tensors read from a checkpoint have it as the attribute ``grid``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

TABLES = ('pos_embed', 'absolute_pos_embed', 'relative_position_bias_table')
"""Last components of the names of position tables."""


def describe_grid(module: nn.Module) -> None:
    """Makes ``module`` write its ``grid_size`` (rows, columns) into the metadata of its state dict."""
    module.register_state_dict_post_hook(_write_grid)


def _write_grid(module: Any, state_dict: dict, prefix: str, local_metadata: dict) -> None:
    local_metadata['grid_size'] = tuple(module.grid_size)


def set_grid(table: Tensor, grid: tuple[int, ...]) -> None:
    """Sets the attribute ``grid``, (rows, columns), of a table that was read from a checkpoint."""
    table.__dict__['grid'] = grid


def known_grid(table: Tensor, metadata: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns the grid (rows, columns) of a table that is loaded; None if it is not recorded.

    Args:
        table: Position table in the state dict.
        metadata: Metadata of the module, which torch passes to a pre-hook of ``load_state_dict``.
    """
    return getattr(table, 'grid', None) or metadata.get('grid_size')


def square_side(table: Tensor, num_prefix_tokens: int) -> tuple[int, int]:
    """Returns the square grid (rows, columns) of a table (1, prefix + L, D) whose grid is not recorded.

    Raises:
        ValueError: L is not a square number.
    """
    patches = table.shape[1] - num_prefix_tokens
    side = math.isqrt(max(patches, 0))
    if side**2 != patches:
        raise ValueError(
            f'the grid of {patches} positions is not recorded and is not square: load a checkpoint of mmssl, which '
            'contains its config, or set the img_size with which it was trained. A token beside the class token, such '
            "as DeiT's dist_token, has no place in this backbone"
        )
    return side, side

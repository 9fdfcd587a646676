"""Fits the position table of a checkpoint to the module that loads it."""

from __future__ import annotations

from math import isqrt, prod
from typing import Any

import torch
from timm.layers import resample_abs_pos_embed

from mmssl.checkpoints.grids import known_grid, square_side


def resample_loaded_positions(module: Any, state_dict: dict, prefix: str, local_metadata: dict, *args: object) -> None:
    """Resamples the position table of a checkpoint, and adds or removes the position of a class token.

    A grid that is not recorded is taken to be square. It is an adapter for ``adapt_on_load``.

    Args:
        module: Module with ``pos_embed``, ``grid_size`` and ``num_prefix_positions``.
        state_dict: State dict that is loaded; changed in place.
        prefix: Prefix of the module's names in it.
        local_metadata: Metadata of the module, which torch passes.
        *args: Not used.
    """
    key = prefix + 'pos_embed'
    if key not in state_dict:
        return
    table, own = state_dict[key], module.num_prefix_positions
    grid = known_grid(table, local_metadata)
    if grid is None and table.shape[1] == module.pos_embed.shape[1]:
        return
    if grid is None:
        offered = next((n for n in (own, 1 - own) if isqrt(table.shape[1] - n) ** 2 == table.shape[1] - n), own)
        grid = square_side(table, offered)
    else:
        offered = table.shape[1] - prod(grid)
    if offered not in (0, 1):  # adapted before, or not a table of this grid
        return
    if offered < own:
        table = torch.cat([torch.zeros_like(table[:, :1]), table], dim=1)
    state_dict[key] = resample_abs_pos_embed(table[:, max(offered - own, 0) :], module.grid_size, grid, own)

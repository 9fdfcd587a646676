"""Low-rank updates of linear layers in checkpoints."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

DOWN, UP = 'low_rank_down', 'low_rank_up'
"""Names of the two factors beside the ``weight`` that they update."""


def folded(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Returns the tensors of the same network without low-rank updates: ``weight + up @ down``.

    Args:
        tensors: Tensors by name; beside a ``weight`` (out, in) may stand ``low_rank_down`` (rank, in) and
            ``low_rank_up`` (out, rank).
    """
    result = dict(tensors)
    for name in [name for name in tensors if name.rpartition('.')[2] == UP]:
        owner = name.removesuffix(UP)
        up, down, weight = result.pop(name), result.pop(f'{owner}{DOWN}'), result[f'{owner}weight']
        result[f'{owner}weight'] = (weight.double() + up.double() @ down.double()).to(weight.dtype)
    return result

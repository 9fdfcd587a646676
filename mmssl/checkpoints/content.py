"""What a checkpoint holds: its tensors by name, their grids, and the config of its backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmssl.checkpoints.grids import TABLES
from mmssl.config.text import read_config_text
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError


def get_state_dict(checkpoint: Any) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint by name, whether they lie at the top or under a usual key.

    Tables of positions get the attribute ``grid``, (rows, columns), where the checkpoint tells their grid of patches.

    Raises:
        UserError: There are none.
    """
    if isinstance(checkpoint, dict):
        for nested in (checkpoint.get('state_dict'), checkpoint.get('model'), checkpoint):
            tensors = _named_tensors(nested) if isinstance(nested, dict) else {}
            if tensors:
                _mark_grids(tensors, getattr(nested, '_metadata', {}), checkpoint)
                return tensors
    raise UserError("the checkpoint has no tensors under 'state_dict', 'model' or at its top")


def _named_tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a dict, without the ``_orig_mod.`` that ``torch.compile`` puts into names."""
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    return {str(key).replace('_orig_mod.', ''): value for key, value in tensors.items()}


def _mark_grids(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """Writes the grid beside every table of positions: that in the metadata of its owner, else that of the config."""
    tables = [name for name in tensors if name.rpartition('.')[2] in TABLES]
    if not tables:
        return
    grids = {
        owner.replace('_orig_mod.', ''): content['grid_size']
        for owner, content in metadata.items()
        if 'grid_size' in content
    }
    of_config = None if grids else _grid_of_config(checkpoint)
    for name in tables:
        owners = [owner for owner in grids if not owner or name.startswith(f'{owner}.')]
        grid = grids[max(owners, key=len)] if owners else of_config
        if grid is not None:
            tensors[name].grid = tuple(grid)


def _grid_of_config(checkpoint: Mapping[str, Any]) -> tuple[int, int] | None:
    """The grid of the backbone that the config in a checkpoint describes, for files without such metadata."""
    backbone = known_config(checkpoint)
    if not backbone or str(backbone.get('type')).removeprefix('mmssl.') not in BACKBONES.members:
        return None
    try:
        with torch.device('meta'):
            return getattr(BACKBONES.build(dict(backbone, init_cfg=None)), 'grid_size', None)
    except (TypeError, ValueError):  # written by another version
        return None


def known_config(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """The config of the backbone that a checkpoint of mmssl carries; None where there is none, or none that is read."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return None
    if isinstance(meta.get('backbone'), Mapping):
        return dict(meta['backbone'])
    if not isinstance(meta.get('cfg'), str):
        return None
    try:
        return read_config_text(meta['cfg'], 'the checkpoint').model.backbone.to_dict()
    except (UserError, AttributeError):
        return None

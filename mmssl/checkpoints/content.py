"""The content of a checkpoint: tensors by name, grids of position tables, and the config of the backbone."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor

from mmssl.checkpoints.grids import TABLES, set_grid
from mmssl.checkpoints.low_rank import folded
from mmssl.config.published import without_published
from mmssl.config.text import read_config_text
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError, some


def get_state_dict(checkpoint: Any, fold: bool = True) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint by name, from its key ``state_dict`` or ``model``, else from its top level.

    A position table gets the attribute ``grid``, the (rows, columns) of its patches, if the checkpoint records it.

    Args:
        checkpoint: Content of the file.
        fold: Whether low-rank updates are added to their weights; False is for a resume.

    Raises:
        UserError: The checkpoint has no tensors.
    """
    if isinstance(checkpoint, dict):
        for nested in (checkpoint.get('state_dict'), checkpoint.get('model'), checkpoint):
            tensors = _named_tensors(nested) if isinstance(nested, dict) else {}
            if tensors:
                _mark_grids(tensors, getattr(nested, '_metadata', {}), checkpoint)
                return folded(tensors) if fold else tensors
    raise UserError("the checkpoint has no tensors under 'state_dict', 'model' or at its top")


def below(tensors: Mapping[str, Tensor], prefix: str, needed: bool = False) -> dict[str, Tensor]:
    """Returns the tensors whose names begin with a prefix, by their names without the prefix.

    Args:
        tensors: Tensors by name.
        prefix: Prefix with or without final dot, such as ``'backbone'``; ``''`` returns all tensors.
        needed: Whether it is an error if there is no such tensor.

    Raises:
        UserError: ``needed`` is set and there is no such tensor.
    """
    prefix = f'{prefix.removesuffix(".")}.' if prefix else ''
    found = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if needed and not found:
        beginnings = sorted({name.split('.')[0] for name in tensors})
        raise UserError(f'no tensor under {prefix[:-1]!r}; the names begin with {some(beginnings)}')
    return found


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Returns the SHA-256 of the names, dtypes, shapes and values of tensors, as 64 hexadecimal digits.

    Two files with the same weights have the same digest, whatever else they hold.
    """
    sha256 = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        sha256.update(f'{name} {tensor.dtype} {tuple(tensor.shape)}\n'.encode())
        sha256.update(tensor.flatten().view(torch.uint8).numpy().data)
    return sha256.hexdigest()


def unwrapped(name: str) -> str:
    """Returns a tensor's name without the ``_orig_mod.`` of ``torch.compile`` and the ``module.`` of DDP."""
    return name.replace('_orig_mod.', '').removeprefix('module.')


def _named_tensors(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns the tensors of a dict, and removes the ``_orig_mod.`` of ``torch.compile`` from their names."""
    tensors = {key: value for key, value in content.items() if isinstance(value, Tensor)}
    return {str(key).replace('_orig_mod.', ''): value for key, value in tensors.items()}


def _mark_grids(tensors: Mapping[str, Tensor], metadata: Mapping[str, Any], checkpoint: Mapping[str, Any]) -> None:
    """Sets ``grid`` of every position table, from the metadata of its module, else from the config."""
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
            set_grid(tensors[name], tuple(grid))


def _grid_of_config(checkpoint: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns the grid of the backbone in the checkpoint's config, for files without metadata."""
    backbone = known_config(checkpoint)
    if not backbone or backbone.get('type') not in BACKBONES.members:
        return None
    config = {name: value for name, value in backbone.items() if name != 'init_cfg'}
    try:
        with torch.device('meta'):
            return getattr(BACKBONES.build(without_published(config)), 'grid_size', None)
    except Exception:  # a config of another version, or a class of a plugin that reads values, which meta has not
        return None


def known_config(checkpoint: Mapping[str, Any]) -> dict[str, Any] | None:
    """Returns the config of the backbone in a checkpoint of mmssl; None if it is missing or unreadable.

    A class of mmssl is named without scope, also in the checkpoint of a detector (``'ResNet'``), and a class of another
    library with its scope (``'mmdet.ResNet'``).
    """
    backbone = _known_part(checkpoint, 'backbone')
    if backbone and isinstance(name := backbone.get('type'), str):
        scope, _, plain = name.rpartition('.')
        scope = scope or known_scope(checkpoint) or 'mmssl'
        backbone['type'] = plain if scope == 'mmssl' else f'{scope}.{plain}'
    return backbone


def known_scope(checkpoint: Mapping[str, Any]) -> str | None:
    """Returns the ``default_scope`` of the config in a checkpoint: the library whose classes it names without scope.

    None if the config is missing, unreadable, or has no scope.
    """
    cfg = _config(checkpoint)
    return None if cfg is None else cfg.get('default_scope')


def known_preprocessor(checkpoint: Any) -> dict[str, Any] | None:
    """Returns the config of the data preprocessor in a checkpoint of mmssl; None if it is missing or unreadable."""
    return _known_part(checkpoint, 'data_preprocessor') if isinstance(checkpoint, Mapping) else None


def trained_classes(checkpoint: Any) -> tuple[str, ...] | None:
    """Returns the names of the classes on which the model of a checkpoint was trained; None if it has no names."""
    meta = checkpoint.get('meta') if isinstance(checkpoint, Mapping) else None
    facts = meta.get('dataset_meta') if isinstance(meta, Mapping) else None
    classes = facts.get('classes') if isinstance(facts, Mapping) else None
    return tuple(classes) if classes else None


def _known_part(checkpoint: Mapping[str, Any], part: str) -> dict[str, Any] | None:
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping):
        return None
    if isinstance(meta.get(part), Mapping):
        return dict(meta[part])
    cfg = _config(checkpoint)
    try:
        return None if cfg is None else cfg.model.get(part).to_dict()
    except AttributeError:
        return None


def _config(checkpoint: Mapping[str, Any]) -> Config | None:
    """Returns the config in a checkpoint; None if it is missing or unreadable."""
    meta = checkpoint.get('meta')
    if not isinstance(meta, Mapping) or not isinstance(meta.get('cfg'), str):
        return None
    try:
        return read_config_text(meta['cfg'], 'the checkpoint')
    except UserError:
        return None

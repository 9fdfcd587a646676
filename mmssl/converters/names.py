"""Checkpoints of official codes in, by the patterns of ``sources/``; timm's and torchvision's names out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from mmssl.converters.source import BACKBONE, RESNET, Source
from mmssl.converters.sources import SOURCES

_TARGETS = {'torchvision': RESNET, 'timm': BACKBONE}


def rename(name: str, source: str) -> str | None:
    """Translates one name.

    Args:
        name: Name of a tensor in the source, ``module.`` of a distributed wrapper or not.
        source: A key of ``SOURCES``.

    Returns:
        Its name in an algorithm of mmssl, or None for what has no place in one, such as a supervised classifier.

    Raises:
        ValueError: ``source`` is unknown.
        KeyError: The source has no tensor of this name.
    """
    for pattern, ours in _source(source).patterns:
        match = re.fullmatch(pattern, name.removeprefix('module.'))
        if match:
            return None if ours is None else match.expand(ours)
    raise KeyError(name)


def convert(state_dict: Mapping[str, Tensor], source: str, part: str | None = None) -> dict[str, Tensor]:
    """Converts an official checkpoint into the state dict of an algorithm, or of one part of it.

    Args:
        state_dict: Tensors by their official names, or a checkpoint that holds them under ``state_dict`` or ``model``.
        source: A key of ``SOURCES``: a module of ``mmssl/converters/sources`` or one of its aliases.
        part: Keep this part only and strip its prefix: ``'backbone'`` or ``'teacher.backbone'`` load into a backbone.

    Returns:
        Tensors by the names of the algorithm.

    Raises:
        ValueError: ``source`` is unknown, names in ``state_dict`` do not belong to it, or ``part`` has no tensor.
    """
    rules = _source(source)
    tensors = {name.removeprefix('module.'): tensor for name, tensor in _tensors(state_dict).items()}
    if rules.prepare is not None:
        tensors = rules.prepare(tensors)
    converted, unknown = {}, []
    for name, tensor in tensors.items():
        try:
            ours = rename(name, source)
        except KeyError:
            unknown.append(name)
            continue
        if ours is not None:
            converted[ours] = rules.reshape[ours](tensor) if ours in rules.reshape else tensor
    _raise_unknown(unknown, f'source {source!r}')
    return converted if part is None else _part(converted, part)


def export(state_dict: Mapping[str, Tensor], target: str, part: str = 'backbone') -> dict[str, Tensor]:
    """Gives the backbone in a training checkpoint, or a backbone file, the names of torchvision or timm.

    The result loads into ``torchvision.models.resnet50`` (``strict=False``, as it has no ``fc``), or into a timm model
    created with ``num_classes=0``; for a transformer that was trained with ``output='mean'`` create it with
    ``global_pool='avg', fc_norm=False``.

    Args:
        state_dict: Tensors, or a checkpoint that holds them under ``state_dict``.
        target: ``'torchvision'`` or ``'timm'``.
        part: ``'backbone'``, or ``'teacher.backbone'`` for the averaged one, where the names begin with parts.

    Returns:
        The backbone's tensors by the target's names.

    Raises:
        ValueError: ``target`` is unknown, or the backbone is none that ``target`` has.
    """
    if target not in _TARGETS:
        raise ValueError(f'target must be one of {sorted(_TARGETS)}, got {target!r}')
    tensors = _tensors(state_dict)
    is_algorithm = any(name.startswith('backbone.') for name in tensors)
    backbone = _part(tensors, part) if is_algorithm else dict(tensors)
    if target == 'timm' and all(name.startswith('model.') for name in backbone):  # TimmBackbone, any timm model
        return _part(backbone, 'model')
    _raise_unknown([name for name in backbone if not re.fullmatch(_TARGETS[target], name)], f'target {target!r}')
    return backbone


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(f'source must be one of {sorted(SOURCES)}, got {name!r}')
    return SOURCES[name]


def _tensors(checkpoint: Mapping) -> Mapping[str, Tensor]:
    if all(isinstance(checkpoint.get(part), Mapping) for part in ('student', 'teacher')):  # DINO
        parts = [part for part in ('student', 'teacher', 'dino_loss') if part in checkpoint]
        return {f'{part}.{name}': tensor for part in parts for name, tensor in checkpoint[part].items()}
    for key in ('state_dict', 'model'):
        if isinstance(checkpoint.get(key), Mapping):
            return checkpoint[key]
    return checkpoint


def _part(tensors: Mapping[str, Tensor], part: str) -> dict[str, Tensor]:
    prefix = part + '.'
    chosen = {name[len(prefix) :]: tensor for name, tensor in tensors.items() if name.startswith(prefix)}
    if not chosen:
        raise ValueError(f'no tensor under {part!r}; the names begin with {sorted({n.split(".")[0] for n in tensors})}')
    return chosen


def _raise_unknown(names: list[str], where: str) -> None:
    if names:
        shown = ', '.join(names[:10]) + (', ...' if len(names) > 10 else '')
        raise ValueError(f'{len(names)} names do not belong to {where}: {shown}')

"""Backbones by the names of other libraries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmssl.converters.architecture import kind
from mmssl.converters.names import official_tensors, part_of
from mmssl.converters.source import Tensors
from mmssl.converters.target import Layout, Target
from mmssl.converters.targets import TARGETS
from mmssl.utils.errors import UserError, did_you_mean


def export(state_dict: Mapping[str, Any], target: str, part: str = 'backbone') -> dict[str, Tensor]:
    """Gives the backbone in a training checkpoint, or a backbone file, the names of another library.

    The result of ``'torchvision'`` loads into ``torchvision.models.resnet50`` (``strict=False``, as it has no ``fc``),
    that of ``'timm'`` into a model created with ``num_classes=0``; for a transformer that was trained with
    ``output='mean'`` create it with ``global_pool='avg', fc_norm=False``.

    Args:
        state_dict: Tensors, or a checkpoint that holds them under ``state_dict``.
        target: A key of ``TARGETS``: a module of ``mmssl/converters/targets``.
        part: ``'backbone'``, or ``'teacher.backbone'`` for the averaged one, where the names begin with parts.

    Returns:
        The backbone's tensors by the target's names.

    Raises:
        UserError: ``target`` is unknown, or the backbone is none that ``target`` has.
    """
    tensors = official_tensors(state_dict)
    is_algorithm = any(name.startswith('backbone.') for name in tensors)
    backbone = part_of(tensors, part) if is_algorithm else tensors
    return layout_of(backbone, target).rename(backbone)


def layout_of(backbone: Tensors, target: str) -> Layout:
    """How ``target`` holds a backbone with these tensors.

    Raises:
        UserError: ``target`` is unknown, or has no such backbone.
    """
    layouts, name = target_of(target).layouts, kind(backbone)
    layout = layouts.get(name or 'any', layouts.get('any'))
    if layout is None:
        what = name or f'a backbone with tensors such as {", ".join(list(backbone)[:3])}'
        raise UserError(f'{target} has none that {what} fits, only {", ".join(layouts)}; {TARGETS[target].instead}')
    return layout


def target_of(name: str) -> Target:
    """The target of this name.

    Raises:
        UserError: There is none.
    """
    if name not in TARGETS:
        raise UserError(f'target must be one of {sorted(TARGETS)}, got {name!r}{did_you_mean(name, TARGETS)}')
    return TARGETS[name]

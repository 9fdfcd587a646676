"""Detection of the official code that wrote a checkpoint, by the names of its tensors."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmssl.checkpoints.content import known_scope
from mmssl.converters.convert import Converted, official_tensors, translate
from mmssl.converters.sources import SOURCES
from mmssl.utils.errors import UserError, some

# If several sources convert a file identically, prefer these, then the source with the fewest unused patterns.
_PLAIN = ('torchvision', 'timm')


class UnknownSourceError(UserError):
    """No source knows all names in a checkpoint."""


def detect_source(checkpoint: Mapping[str, Any]) -> str:
    """Returns the source whose patterns know every name in a checkpoint.

    All of mmssl uses this function to decide what a file is. The names of a backbone alone may fit several sources;
    these must then convert every tensor to the same name.

    Args:
        checkpoint: Tensors by name, or a checkpoint that contains them, see ``convert``.

    Returns:
        A key of ``SOURCES``; ``'mmssl'`` for a checkpoint or a backbone file of this toolbox.

    Raises:
        UnknownSourceError: No source knows all names.
        UserError: Several sources know all names and convert them differently; the message lists the sources.
    """
    if _is_own_file(checkpoint):
        return 'mmssl'
    tensors = official_tensors(checkpoint)
    if all(name.startswith(('backbone.', 'teacher.backbone.')) for name in tensors):
        return next((name for name in _official_sources() if _has_own_name(name, tensors)), 'mmssl')
    readings = {name: translate(tensors, name) for name in _official_sources()}
    matching = [name for name, reading in readings.items() if not reading.unknown and reading.tensors]
    matching.sort(key=lambda name: (_PLAIN.index(name) if name in _PLAIN else len(_PLAIN), _unused(name, tensors)))
    if not matching:
        if any(name.startswith('backbone.') for name in tensors):
            return 'mmssl'
        raise UnknownSourceError(_nobody_knows(len(tensors), readings))
    first = readings[matching[0]]
    differing = [name for name in matching if not _same(first, readings[name])]
    if differing:
        raise UserError(
            f'the names in this checkpoint fit {", ".join(matching)}, which convert them differently: give the source '
            '(convert.py --from SOURCE), or the prefix of the names of its backbone (--prefix)'
        )
    return matching[0]


def _official_sources() -> list[str]:
    """Returns one name per source, without aliases."""
    once = {id(source): name for name, source in reversed(SOURCES.items()) if name != 'mmssl'}
    return sorted(once.values())


def _has_own_name(source: str, tensors: Mapping[str, Tensor]) -> bool:
    pattern = SOURCES[source].own_name
    return pattern is not None and any(re.fullmatch(pattern, name) for name in tensors)


def _unused(source: str, tensors: Mapping[str, Tensor]) -> int:
    """Returns the number of a source's patterns that fit no name in the checkpoint."""
    return sum(not any(map(pattern.fullmatch, tensors)) for pattern, _ in SOURCES[source].compiled_patterns)


def _is_own_file(checkpoint: Mapping[str, Any]) -> bool:
    """Returns whether ``meta`` shows that a training or a converter of mmssl wrote the file.

    The names do not show it: a method of a plugin may have a ``neck.fc`` or a ``mask_token`` as an official code has.
    """
    meta = checkpoint.get('meta') if isinstance(checkpoint, Mapping) else None
    if not isinstance(meta, Mapping):
        return False
    return 'backbone' in meta or {'algorithm', 'checkpoint'} <= meta.keys() or known_scope(checkpoint) == 'mmssl'


def _same(one: Converted, other: Converted) -> bool:
    return one.tensors.keys() == other.tensors.keys() and all(
        tensor is other.tensors[name] or torch.equal(tensor, other.tensors[name])
        for name, tensor in one.tensors.items()
    )


def _nobody_knows(total: int, readings: Mapping[str, Converted]) -> str:
    nearest = min(readings, key=lambda name: len(readings[name].unknown))
    unknown = readings[nearest].unknown
    shown = some(unknown, 5)
    known = total - len(unknown)
    nearest = f'{nearest} knows most, {known} of {total}, but not {shown}' if known else f'such as {shown}'
    return f'no source knows all names in this checkpoint; {nearest}. The sources are {", ".join(sorted(SOURCES))}'

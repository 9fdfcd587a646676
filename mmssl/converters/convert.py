"""Conversion of official checkpoints to the names of mmssl, by the patterns in ``sources/``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from mmssl.checkpoints.content import below, unwrapped
from mmssl.checkpoints.low_rank import folded
from mmssl.converters.source import Source
from mmssl.converters.sources import SOURCES
from mmssl.utils.errors import UserError, did_you_mean, some

_PARTS = (
    ('student', 'teacher', 'dino_loss', 'ibot_loss'),
    ('encoder', 'target_encoder', 'predictor'),
)  # of DINO and I-JEPA
_CONTAINERS = ('state_dict', 'model', 'model_state', 'network')  # keys under which official codes keep their tensors


class Converted(NamedTuple):
    """A converted checkpoint: tensors by the names of an algorithm, and names that the source does not know."""

    tensors: dict[str, Tensor]
    unknown: list[str]


def rename(name: str, source: str) -> str | None:
    """Translates the name of one tensor.

    Args:
        name: Name of a tensor in the source, with or without the parts that ``unwrapped`` removes.
        source: A key of ``SOURCES``.

    Returns:
        The name in an algorithm of mmssl; None for a tensor that the algorithm does not have, such as a supervised
        classifier.

    Raises:
        UserError: ``source`` is unknown.
        KeyError: The source has no tensor of this name.
    """
    plain = unwrapped(name)
    for pattern, ours in _source(source).compiled_patterns:
        match = pattern.fullmatch(plain)
        if match:
            return None if ours is None else match.expand(ours)
    raise KeyError(name)


def convert(state_dict: Mapping[str, Any], source: str, part: str | None = None) -> dict[str, Tensor]:
    """Converts an official checkpoint into the state dict of an algorithm, or of one part of it.

    Args:
        state_dict: Tensors by their official names, or a checkpoint that holds them under ``state_dict``, ``model``,
            ``model_state`` or ``network``.
        source: A key of ``SOURCES``: a module of ``mmssl/converters/sources`` or one of its aliases.
        part: Prefix of the part to return, without this prefix: ``'backbone'`` or ``'teacher.backbone'`` load into a
            backbone. None returns the whole algorithm.

    Returns:
        Tensors by the names of the algorithm.

    Raises:
        UserError: ``source`` is unknown, it does not know all names in ``state_dict``, or ``part`` has no tensor.
    """
    converted = translate(official_tensors(state_dict), source)
    if unknown := converted.unknown:
        raise UserError(f'source {source!r} does not know {len(unknown)} of the names: {some(unknown)}')
    return converted.tensors if part is None else below(converted.tensors, part, needed=True)


def translate(tensors: Mapping[str, Tensor], source: str) -> Converted:
    """Converts tensors by their official names as ``convert`` does, and also returns the unknown names."""
    rules = _source(source)
    tensors = {unwrapped(name): tensor for name, tensor in tensors.items()}
    if rules.prepare is not None:
        tensors = rules.prepare(tensors)
    converted = Converted({}, [])
    for name, tensor in tensors.items():
        try:
            ours = rename(name, source)
        except KeyError:
            converted.unknown.append(name)
            continue
        if ours is not None:
            converted.tensors[ours] = rules.reshape[ours](tensor) if ours in rules.reshape else tensor
    return converted


def official_tensors(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Returns the tensors of a checkpoint by their official names, ``unwrapped``, found under one of the usual keys.

    DINO and iBOT keep the tensors of student, teacher and loss under three keys; their names then begin with
    ``student.``, ``teacher.``, and ``dino_loss.`` or ``ibot_loss.``. I-JEPA does so with ``encoder``,
    ``target_encoder`` and ``predictor``.

    Raises:
        UserError: The checkpoint has no tensors.
    """
    if not isinstance(checkpoint, Mapping):
        raise UserError(f'the file contains a {type(checkpoint).__name__} instead of tensors by name')
    nested: Mapping[str, Any]
    parts: tuple[str, ...] = next(
        (p for p in _PARTS if all(isinstance(checkpoint.get(part), Mapping) for part in p[:2])), ()
    )
    if not parts and isinstance(checkpoint.get('teacher'), Mapping):  # DINOv2 saves the teacher alone
        parts = ('teacher',)
    if parts:
        nested = {
            f'{part}.{name}': value for part in parts if part in checkpoint for name, value in checkpoint[part].items()
        }
    else:
        held = [checkpoint[key] for key in _CONTAINERS if isinstance(checkpoint.get(key), Mapping)]
        nested = held[0] if held else checkpoint
    tensors = folded({unwrapped(str(name)): value for name, value in nested.items() if isinstance(value, Tensor)})
    if not tensors:
        raise UserError(f'the checkpoint has no tensors under {", ".join(map(repr, _CONTAINERS))} or at its top')
    return tensors


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise UserError(f'source must be one of {sorted(SOURCES)}, got {name!r}{did_you_mean(name, SOURCES)}')
    return SOURCES[name]

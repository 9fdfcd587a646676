"""Checkpoint files in, files of other libraries out."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mmssl.checkpoints.content import known_config
from mmssl.checkpoints.files import save_checkpoint_file, save_safetensors
from mmssl.converters.architecture import describe
from mmssl.converters.arrays import load_official_file
from mmssl.converters.detect import detect_source
from mmssl.converters.export import layout_of, target_of
from mmssl.converters.names import convert, part_of
from mmssl.converters.sources import SOURCES
from mmssl.utils.errors import UserError
from mmssl.version import __version__


class ConvertedBackbone(NamedTuple):
    """A backbone as another library holds it.

    ``source`` is what was read, ``tensors`` have the library's names, ``model`` is the library's model that they fit
    (see ``Layout``), ``config`` that of the backbone in mmssl (see ``describe``).
    """

    source: str
    tensors: dict[str, Tensor]
    model: Any
    config: dict[str, Any]


class ConvertedFile(NamedTuple):
    """What was written: the source that was read, the number of tensors, and how to load them, as code."""

    source: str
    num_tensors: int
    usage: str


def convert_backbone(
    checkpoint: Mapping[str, Any],
    target: str,
    source: str | None = None,
    part: str = 'backbone',
    num_heads: int | None = None,
) -> ConvertedBackbone:
    """Converts the backbone in a checkpoint for another library.

    Args:
        checkpoint: What a checkpoint file holds, of mmssl, an official code, timm or torchvision.
        target: A key of ``TARGETS``.
        source: A key of ``SOURCES``; None finds it by the names.
        part: ``'backbone'``, ``'teacher.backbone'`` for the averaged one, or ``'all'`` for the whole algorithm, which
            ``'mmssl'`` takes, and ``'hf'`` if it is a masked autoencoder.
        num_heads: Attention heads of a transformer, where neither the checkpoint nor its size tells.

    Raises:
        UserError: The checkpoint is none of the source, has no such part, or the target no such backbone.
    """
    source = source or detect_source(checkpoint)
    tensors = convert(checkpoint, source)
    chosen = tensors if part == 'all' else part_of(tensors, part)
    layout = layout_of(chosen, target)
    token = tensors.get('backbone.cls_token')
    if num_heads is None and token is not None:
        num_heads = SOURCES[source].num_heads.get(token.shape[-1])
    whole = part == 'all' and target == 'mmssl'
    config = {} if whole else describe(chosen, num_heads, known_config(checkpoint))
    model = layout.model(config)
    return ConvertedBackbone(source, layout.rename(chosen), model, config)


def convert_file(
    file: str | Path,
    out: str | Path,
    target: str,
    source: str | None = None,
    part: str = 'backbone',
    num_heads: int | None = None,
) -> ConvertedFile:
    """Writes the backbone in a checkpoint file as another library reads it; see ``convert_backbone``.

    Args:
        file: Training checkpoint, backbone file, or a file of an official code, timm or torchvision; see
            ``load_official_file``.
        out: File to write, ``.pth``, or ``.safetensors`` for timm and torchvision; for ``'hf'`` a folder.
        target: A key of ``TARGETS``.
        source: A key of ``SOURCES``; None finds it by the names.
        part: ``'backbone'``, ``'teacher.backbone'`` for the averaged one, or ``'all'`` for the whole algorithm, which
            ``'mmssl'`` takes, and ``'hf'`` if it is a masked autoencoder.
        num_heads: Attention heads of a transformer, where neither the checkpoint nor its size tells.

    Raises:
        FileNotFoundError: There is no ``file``.
        UserError: As ``convert_backbone``, or ``out`` has another ending than what the target reads.
    """
    out = Path(out)
    suffixes = target_of(target).suffixes
    if out.suffix not in suffixes:
        what = f'a file that ends in {" or ".join(suffixes)}' if suffixes[0] else 'a folder, whose name has no ending'
        raise UserError(f'{target} reads {what}, got {str(out)!r}')
    backbone = convert_backbone(load_official_file(file), target, source, part, num_heads)
    if out.suffix:
        _write_file(backbone, out, target)
    else:
        _write_folder(backbone, out)
    return ConvertedFile(backbone.source, len(backbone.tensors), target_of(target).usage(backbone.model, str(out)))


def _write_file(backbone: ConvertedBackbone, out: Path, target: str) -> None:
    tensors = {name: tensor.contiguous().clone() for name, tensor in backbone.tensors.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == '.safetensors':
        save_safetensors(tensors, out)
    elif target in ('timm', 'torchvision'):
        save_checkpoint_file(tensors, out)
    else:
        meta: dict[str, Any] = dict(mmssl_version=__version__, source=backbone.source)
        if target == 'mmssl':
            meta['backbone'] = backbone.config
        save_checkpoint_file(dict(state_dict=tensors, meta=meta), out)


def _write_folder(backbone: ConvertedBackbone, out: Path) -> None:
    """Writes ``config.json`` and ``model.safetensors`` into a folder that appears with both or not at all."""
    if out.exists():
        raise UserError(f'{out} exists already: name a folder to be made')
    temporary = out.with_name(f'{out.name}.tmp')
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        (temporary / 'config.json').write_text(json.dumps(backbone.model, indent=2) + '\n')
        save_safetensors(backbone.tensors, temporary / 'model.safetensors')
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary)
        raise

"""Conversion of checkpoint files to files of other libraries."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from mmssl.checkpoints.content import below, known_config
from mmssl.checkpoints.files import save_checkpoint_file, save_safetensors
from mmssl.converters.architecture import describe, kind
from mmssl.converters.architectures.transformers import heads_of
from mmssl.converters.arrays import load_official_file
from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.converters.libraries import LIBRARIES
from mmssl.converters.library import Layout, Library
from mmssl.converters.source import Tensors
from mmssl.converters.sources import SOURCES
from mmssl.utils.errors import UserError, did_you_mean
from mmssl.version import __version__

PARTS = ('backbone', 'teacher.backbone', 'all')
_CLASSES = {'Swin': ('TimmBackbone', 'GroupedSwin')}  # kind of backbone -> its classes, if they have other names


class ConvertedBackbone(NamedTuple):
    """A backbone with the names of a library.

    ``source`` is the key of ``SOURCES`` with which the checkpoint was read, ``tensors`` have the library's names,
    ``model`` describes the library's model that takes them (see ``Layout.model``), and ``config`` is the config of the
    backbone in mmssl (see ``describe``).
    """

    source: str
    tensors: dict[str, Tensor]
    model: Any
    config: dict[str, Any]


class ConvertedFile(NamedTuple):
    """A file that was written: the source of the checkpoint, the number of tensors, and code that loads the file."""

    source: str
    num_tensors: int
    usage: str


def convert_backbone(
    checkpoint: Mapping[str, Any],
    library: str,
    source: str | None = None,
    part: str = 'backbone',
    num_heads: int | None = None,
) -> ConvertedBackbone:
    """Converts the backbone in a checkpoint to the names of a library.

    The tensors for ``'torchvision'`` load into ``torchvision.models.resnet50()`` with ``strict=False``, because ``fc``
    is missing. The tensors for ``'timm'`` load into a model created with ``num_classes=0``; a transformer that was
    trained with ``output='mean'`` needs ``global_pool='avg', fc_norm=False`` as well.

    Args:
        checkpoint: Content of a checkpoint file of mmssl, an official code, timm or torchvision, or the tensors of such
            a file.
        library: A key of ``LIBRARIES``, which are the modules of ``mmssl/converters/libraries``.
        source: A key of ``SOURCES``; None calls ``detect_source``.
        part: Part to convert: ``'backbone'``; ``'teacher.backbone'`` for the averaged backbone; or ``'all'`` for the
            whole algorithm, which only ``'mmssl'``, and for a masked autoencoder ``'hf'``, can read.
        num_heads: Number of attention heads of a transformer, needed if neither the checkpoint nor its width determines
            it.

    Raises:
        UserError: ``part`` is another one, the checkpoint does not come from this source or lacks the part, the library
            has no such backbone, or ``num_heads`` does not fit its width or the config in the checkpoint.
    """
    find_library(library)
    source = source or detect_source(checkpoint)
    tensors = convert(checkpoint, source)
    chosen = tensors if part == 'all' else below(tensors, str(part), needed=True)
    if part not in PARTS:
        raise UserError(f'part must be one of {", ".join(PARTS)}, because others are no backbone, got {part!r}')
    known = known_config(checkpoint)
    layout = _layout(chosen, known, library)
    token, given = tensors.get('backbone.cls_token'), num_heads
    if num_heads is None and token is not None:
        num_heads = SOURCES[source].num_heads.get(token.shape[-1])
    arguments = SOURCES[source].arguments
    if arguments is not None:
        known = arguments(chosen) | (known or {})
    if part == 'all' and library == 'mmssl':
        config = {}
    elif known and library == source == 'mmssl':
        config = known  # tensors do not tell the depth of a backbone that ends at its last output
    else:
        config = describe(chosen, num_heads, known)
    if given is not None:
        _check_heads(given, config, known or {})
    model = layout.model(config)
    return ConvertedBackbone(source, layout.rename(chosen), model, config)


def convert_file(
    file: str | Path,
    out: str | Path,
    library: str,
    source: str | None = None,
    part: str = 'backbone',
    num_heads: int | None = None,
) -> ConvertedFile:
    """Converts the backbone in a checkpoint file to a file of a library; see ``convert_backbone``.

    Args:
        file: Training checkpoint, backbone file, or a file of an official code, timm or torchvision; see
            ``load_official_file``.
        out: File to write: ``.pth``, for timm and torchvision also ``.safetensors``; for ``'hf'`` a folder.
        library: Library that reads the file, see ``convert_backbone``.
        source: Source of the checkpoint, see ``convert_backbone``.
        part: Part to convert, see ``convert_backbone``.
        num_heads: Number of attention heads, see ``convert_backbone``.

    Raises:
        FileNotFoundError: ``file`` does not exist.
        UserError: ``convert_backbone`` raises it, the library does not read files with this ending, or ``out`` is
            ``file``.
    """
    out = Path(out)
    if out.exists() and Path(file).exists() and out.samefile(file):
        raise UserError(f'{out} is the file to convert, and would be lost: give another path for the result')
    suffixes = find_library(library).suffixes
    if out.suffix not in suffixes:
        what = f'a file that ends in {" or ".join(suffixes)}' if suffixes[0] else 'a folder, whose name has no suffix'
        raise UserError(f'{library} reads {what}, got {str(out)!r}')
    backbone = convert_backbone(load_official_file(file), library, source, part, num_heads)
    if out.suffix:
        _write_file(backbone, out, library)
    else:
        _write_folder(backbone, out)
    return ConvertedFile(backbone.source, len(backbone.tensors), find_library(library).usage(backbone.model, str(out)))


def find_library(name: str) -> Library:
    """Returns the library of this name.

    Raises:
        UserError: The name is unknown.
    """
    if name not in LIBRARIES:
        raise UserError(f'library must be one of {sorted(LIBRARIES)}, got {name!r}{did_you_mean(name, LIBRARIES)}')
    return LIBRARIES[name]


def _check_heads(num_heads: int, config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Checks a number of attention heads against the width of a backbone and the config in its checkpoint."""
    if not isinstance(num_heads, int) or num_heads < 1:
        raise UserError(f'num_heads must be a whole number of at least 1, got {num_heads!r}')
    arch = config.get('arch')
    width = arch.get('embed_dim') if isinstance(arch, Mapping) else None
    if width is not None and width % num_heads:
        raise UserError(f'num_heads={num_heads} does not divide the width {width} of this transformer')
    is_plain = config.get('type') in ('VisionTransformer', 'PatchViT', 'CAEViT')
    recorded = heads_of(known.get('arch')) if is_plain else None
    if recorded not in (None, num_heads):
        raise UserError(
            f'num_heads={num_heads} contradicts the config in the checkpoint, which has {recorded} heads: omit it'
        )


def _layout(backbone: Tensors, known: Mapping[str, Any] | None, library: str) -> Layout:
    """Returns the layout of the library for a backbone with these tensors and the config in its checkpoint."""
    layouts, name = LIBRARIES[library].layouts, kind(backbone)
    trained = str((known or {}).get('type') or '').rpartition('.')[2]
    if trained and name not in (None, 'MAE') and trained not in _CLASSES.get(name, (name,)):
        name = trained  # such as a plugin's subclass of ResNet, which may compute something else from the same names
    layout = layouts.get(name or 'any', layouts.get('any'))
    if layout is None:
        what = name or f'a backbone with tensors such as {", ".join(list(backbone)[:3])}'
        raise UserError(
            f'{library} has no model for {what}, only for {", ".join(layouts)}; {LIBRARIES[library].instead}'
        )
    return layout


def _write_file(backbone: ConvertedBackbone, out: Path, library: str) -> None:
    tensors = {name: tensor.contiguous().clone() for name, tensor in backbone.tensors.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == '.safetensors':
        save_safetensors(tensors, out)
    elif library in ('timm', 'torchvision'):
        save_checkpoint_file(tensors, out)
    else:
        meta: dict[str, Any] = dict(mmssl_version=__version__, source=backbone.source)
        if library == 'mmssl':
            meta['backbone'] = backbone.config
        save_checkpoint_file(dict(state_dict=tensors, meta=meta), out)


def _write_folder(backbone: ConvertedBackbone, out: Path) -> None:
    """Writes ``config.json`` and ``model.safetensors`` into a new folder, which is created with both files or not."""
    if out.exists():
        raise UserError(f'{out} already exists: give the name of a new folder')
    temporary = out.with_name(f'{out.name}.tmp')
    temporary.mkdir(parents=True, exist_ok=True)
    try:
        (temporary / 'config.json').write_text(json.dumps(backbone.model, indent=2) + '\n')
        save_safetensors(backbone.tensors, temporary / 'model.safetensors')
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary)
        raise

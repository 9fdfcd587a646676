"""Conversion of backbones to other libraries and to programs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from timm.layers import to_2tuple

from mmssl.apis.arguments import check_number, read_path
from mmssl.converters.files import ConvertedFile, convert_file
from mmssl.converters.libraries import LIBRARIES
from mmssl.converters.library import num_channels
from mmssl.converters.programs import PROGRAMS, write_program
from mmssl.converters.trained import build_backbone, find_backbone
from mmssl.utils.errors import UserError, did_you_mean

_OF_SMALL_IMAGES = ('AdderVGG', 'LeNet5BN', 'NIN', 'WideResNet')


def convert(
    file: str | Path,
    out: str | Path,
    to: str,
    *,
    source: str | None = None,
    part: str = 'backbone',
    num_heads: int | None = None,
    size: int | None = None,
) -> ConvertedFile:
    """Converts the backbone in a checkpoint to a file of a library, or to a program that runs without mmssl.

    Args:
        file: Training checkpoint, backbone file, or a file of an official code, timm or torchvision.
        out: File to write: ``.pth``, for timm and torchvision also ``.safetensors``; ``.onnx``; ``.pt2`` for
            ``'torch-export'``; for ``'hf'`` a folder.
        to: Library: ``'hf'``, ``'mmdet'``, ``'mmseg'``, ``'mmssl'``, ``'timm'`` or ``'torchvision'``; or kind of
            program: ``'onnx'`` or ``'torch-export'``, which accepts batches of any size and is compared with the
            backbone.
        source: Code that wrote the file, a key of ``mmssl.converters.SOURCES``; None finds it by the names.
        part: Part to convert: ``'backbone'``; ``'teacher.backbone'`` for the averaged backbone; ``'all'`` for the whole
            algorithm, only for ``'mmssl'``, and for ``'hf'`` with a masked autoencoder.
        num_heads: Number of attention heads of a transformer, needed if neither the checkpoint nor its width determines
            it.
        size: Side of the images of a program in pixels; None uses ``img_size`` of the backbone, else 32 for backbones
            of small images and 224 for others.

    Returns:
        The source of the file, the number of tensors, and code that loads the result.

    Raises:
        FileNotFoundError: ``file`` does not exist.
        UserError: The library has no such backbone, or the program cannot be written.
    """
    file, out = read_path(file, 'file'), read_path(out, 'out')
    if size is not None:
        check_number('size', size, 1)
    if to in LIBRARIES:
        if size is not None:
            raise UserError(f'size is an option of {" and ".join(PROGRAMS)}; {to} gets only weights')
        return convert_file(file, out, to, source, part, num_heads)
    if to not in PROGRAMS:
        names = sorted([*LIBRARIES, *PROGRAMS])
        raise UserError(f'to must be one of {", ".join(names)}, got {to!r}{did_you_mean(str(to), names)}')
    found = find_backbone(file, part, source, num_heads)
    backbone, side = build_backbone(found, file), size or _image_size(found.config)
    usage = write_program(backbone, out, to, side, num_channels(found.config))
    return ConvertedFile(found.source, len(found.tensors), usage)


def _image_size(config: Mapping[str, Any]) -> int:
    """Returns the side in pixels of the images for which a backbone was built."""
    if 'img_size' in config:
        return min(to_2tuple(config['img_size']))
    return 32 if config.get('stem') == 'small' or config['type'] in _OF_SMALL_IMAGES else 224

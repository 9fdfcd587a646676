"""Reading of public weights: files of official codes, folders of Hugging Face, and models of timm by their names."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

import timm
import torch
from mmengine.logging import print_log
from mmengine.model import ImgDataPreprocessor
from torch import Tensor, nn

from mmssl.checkpoints.content import known_preprocessor
from mmssl.checkpoints.files import INDEX, holds_checkpoint, is_address, load_compiled_file
from mmssl.converters.arrays import load_official_file
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.utils.errors import UserError

TIMM = 'timm://'
_FOLDER_FILES = ('model.safetensors', 'pytorch_model.bin')


def find_public(name: str | Path) -> str:
    """Returns the path or address of weights.

    Args:
        name: File, folder of a sharded run, folder with ``model.safetensors`` or ``pytorch_model.bin``, or an index of
            several such files, as Hugging Face writes it, http(s) address, or the name of a model of timm, such as
            ``'vit_small_patch16_224.dino'``.

    Returns:
        Path of a file or folder, or an address; ``'timm://NAME'`` for a model of timm.

    Raises:
        UserError: There is no such file, and timm has no weights of this name.
    """
    name = str(name)
    path = Path(name).expanduser()
    if '://' in name or holds_checkpoint(path) or (path / 'saved_model.pb').is_file():
        return name if '://' in name else str(path)
    if path.is_dir():
        return str(_file_in(path))
    model, _, tag = name.partition('.')
    if timm.is_model(model):
        if not timm.is_model_pretrained(model) or (tag and name not in timm.list_pretrained(f'{model}.*')):
            known = ', '.join(timm.list_pretrained(f'{model}.*')) or 'none'
            raise UserError(f'timm {timm.__version__} has no weights {name!r}; of this model it has {known}')
        return f'{TIMM}{name}'
    raise UserError(
        f'checkpoint {name!r} does not exist, and timm {timm.__version__} has no model of this name: give a file, a '
        "folder of Hugging Face, or a name of timm such as 'vit_small_patch16_224.dino'"
    )


def load_public(file: str | Path) -> Any:
    """Reads weights that ``find_public`` found, without executing code from a file.

    Returns:
        The content of the file, see ``load_official_file``; tensors by name for a model of timm or for TorchScript.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file is damaged, or the weights of timm can neither be found in its cache nor be fetched.
    """
    if str(file).startswith(TIMM):
        return _load_timm(str(file).removeprefix(TIMM))
    path = Path(file).expanduser()
    if is_address(file) or not path.is_file():
        return load_official_file(file)
    compiled = load_compiled_file(path)
    return load_official_file(path) if compiled is None else compiled


def warn_of_normalization(model: nn.Module, file: str, content: Any = None) -> None:
    """Warns if the images of ``model`` are normalised otherwise than those on which weights were trained.

    Args:
        model: Model that loads the weights.
        file: Path of a file, or ``'timm://NAME'``; only timm and checkpoints of mmssl record the normalisation.
        content: Content of the file.
    """
    trained, own = _trained_normalization(file, content), getattr(model, 'data_preprocessor', None)
    if trained is None or not isinstance(own, (ImgDataPreprocessor, SelfSupDataPreprocessor)):
        return
    is_openmmlab = isinstance(own, ImgDataPreprocessor)  # of mmdet or mmseg, on the scale 0-255, for images in BGR
    white = 1 if is_openmmlab else 255
    settings = [white * value for buffer in ('mean', 'std') for value in getattr(own, buffer, torch.zeros(0)).flatten()]
    if len(settings) != len(trained):  # other bands, which are checked elsewhere
        return
    differs = max(abs(float(a) - b) for a, b in zip(settings, trained)) > 2.55
    if differs or (is_openmmlab and not own._channel_conversion):
        mean, std = ([round(value, 3) for value in values] for values in (trained[:3], trained[3:]))
        print_log(
            f'{file} was trained on images with another normalisation: set model.data_preprocessor.mean={mean} '
            f'model.data_preprocessor.std={std}{" model.data_preprocessor.bgr_to_rgb=True" if is_openmmlab else ""}',
            logger='current',
            level=30,
        )


def _trained_normalization(file: str, content: Any) -> list[float] | None:
    """Returns means, then standard deviations, of red, green and blue on the scale 0-255; None if they are unknown."""
    if file.startswith(TIMM):
        cfg: Any = timm.get_pretrained_cfg(file.removeprefix(TIMM))
        return None if cfg is None else [255 * value for value in (*cfg.mean, *cfg.std)]
    known = known_preprocessor(content) or {}
    if str(known.get('type')).rpartition('.')[2] != SelfSupDataPreprocessor.__name__ or known.get('statistics'):
        return None
    defaults = signature(SelfSupDataPreprocessor).parameters
    values = [value for key in ('mean', 'std') for value in known.get(key, defaults[key].default)]
    return values if len(values) == 6 else None


def in_timm(backbone: nn.Module, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gives tensors with timm's names below ``backbone.`` the names of a ``TimmBackbone``, without the classifier."""
    if not isinstance(backbone, TimmBackbone):
        return tensors
    renamed = {
        name.replace('backbone.', 'backbone.model.', 1)
        if 'backbone.' in name and 'backbone.model.' not in name
        else name: tensor
        for name, tensor in tensors.items()
    }
    classifier = (getattr(backbone.model, 'pretrained_cfg', None) or {}).get('classifier') or ()
    parts = [classifier] if isinstance(classifier, str) else classifier
    unwanted = tuple(f'backbone.model.{part}.' for part in parts)
    return {name: tensor for name, tensor in renamed.items() if not name.startswith(unwanted)}


def _file_in(folder: Path) -> Path:
    for name in (*_FOLDER_FILES, *(f'{name}{INDEX}' for name in _FOLDER_FILES)):
        if (folder / name).is_file():
            return folder / name
    raise UserError(f'the folder {folder} has no {" or ".join(_FOLDER_FILES)}: give a file of weights')


def _load_timm(name: str) -> dict[str, Tensor]:
    try:
        return timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # timm, huggingface_hub and urllib raise many types here
        raise UserError(
            f'the weights {name} of timm are neither in its cache nor can they be fetched: download them on a machine '
            f'with a network and give the file: {error}'
        ) from error

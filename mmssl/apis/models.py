"""Models and backbones by the names of recipes, from checkpoints, or by their classes."""

from __future__ import annotations

from fnmatch import fnmatchcase
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import MMLogger
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DefaultScope
from torch import nn

from mmssl.apis.arguments import check_options, read_checkpoint, read_path
from mmssl.apis.recipes import get_recipe
from mmssl.checkpoints.files import holds_checkpoint
from mmssl.config.check import check_present
from mmssl.converters.trained import build_backbone, find_backbone, load_trained
from mmssl.registry import BACKBONES, MODELS, ROLES
from mmssl.utils.errors import UserError, did_you_mean

_CHECKPOINTS = ('.pth', '.pt', '.tar', '.safetensors', '.pkl', '.npz', '.index')


def list_methods(pattern: str = '*') -> list[str]:
    """Returns the sorted names of the registered algorithms that match a shell pattern."""
    return _members('algorithm', pattern)


def list_backbones(pattern: str = '*') -> list[str]:
    """Returns the sorted names of the registered backbones that match a shell pattern."""
    return _members('backbone', pattern)


def _members(role: str, pattern: str) -> list[str]:
    import_module('mmssl.models')
    return sorted(name for name in ROLES[role].members if fnmatchcase(name, pattern))


def get_model(
    recipe: str | Path | Config,
    checkpoint: str | Path | None = None,
    *,
    cfg_options: dict[str, Any] | None = None,
    device: str | torch.device | None = None,
) -> nn.Module:
    """Builds the whole model of a recipe: an algorithm, a classifier, a detector or a segmenter.

    Args:
        recipe: Name of a recipe, path of a config file, or a config. A training checkpoint is accepted too, because it
            contains its config.
        checkpoint: File of weights: a training checkpoint of the same model, or a file of another kind, from which only
            the backbone is loaded. None initialises the weights as a training would.
        cfg_options: Dotted keys and values that override the config.
        device: Device of the model; None means a GPU if there is one.

    Returns:
        The model in evaluation mode. The features of images (N, 3, H, W) uint8 by an algorithm are
        ``model.extract_feat(model.data_preprocessor.prepare(images))``.

    Raises:
        UserError: The recipe or file does not exist, a config is needed and the checkpoint has none, or the checkpoint
            contains another model.
    """
    if checkpoint is None and is_checkpoint(recipe):
        recipe, checkpoint = '', str(recipe)
    if checkpoint is None:
        cfg = get_recipe(recipe, cfg_options)
        check_present(cfg, 'model')
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            model = MODELS.build(cfg.model)
            _initialize(model)
    else:
        _, model = trained(checkpoint, recipe or None, cfg_options)
    return revert_sync_batchnorm(model).to(read_device(device)).eval()


def _initialize(module: nn.Module) -> None:
    """Initialises the weights without MMEngine's log lines for every parameter."""
    logger = MMLogger.get_current_instance()
    level, handlers = logger.level, logger.handlers
    logger.setLevel('WARNING')
    logger.handlers = []  # the lines go into the log file of an earlier training at any level
    try:
        module.init_weights()  # type: ignore[operator]
    finally:
        logger.setLevel(level)
        logger.handlers = handlers


def read_device(device: str | torch.device | None) -> torch.device:
    """Returns the device of a model; None means a GPU if there is one.

    Raises:
        UserError: torch cannot use the device.
    """
    try:
        found = torch.device(device or get_device())
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"device={device!r} cannot be used ({reason}): give 'cpu', 'cuda' for an NVIDIA GPU, or None"
        ) from error
    return found


def trained(
    checkpoint: str | Path, recipe: str | Path | Config | None = None, cfg_options: dict[str, Any] | None = None
) -> tuple[Config, nn.Module]:
    """Loads a model from a checkpoint; see ``get_model`` for the arguments.

    Returns:
        The config, and the model in evaluation mode.
    """
    file = read_checkpoint(checkpoint)
    cfg = None if recipe is None else get_recipe(recipe, cfg_options)
    with DefaultScope.overwrite_default_scope('mmssl' if cfg is None else cfg.default_scope):
        return load_trained(file, cfg, cfg_options, whole=None)


def is_checkpoint(recipe: Any) -> bool:
    """Returns whether the argument is the name of a checkpoint file instead of a recipe."""
    return isinstance(recipe, (str, Path)) and Path(recipe).suffix in _CHECKPOINTS


def get_backbone(backbone: str | Path, *, part: str = 'backbone', **options: Any) -> nn.Module:
    """Builds a backbone from a file, or by the name of its class with random weights.

    Args:
        backbone: Backbone file (``epoch_N_backbone.pth``) or training checkpoint of mmssl, a file of an official code,
            timm or torchvision that ``mmssl convert`` reads, or the name of a class such as ``'ResNet'``.
        part: Part of a training checkpoint: ``'backbone'``, or ``'teacher.backbone'`` for the averaged backbone.
        **options: Arguments of the class, which override those from the file: ``out_indices=(0, 1, 2, 3)``,
            ``depth=50``.

    Returns:
        A module in evaluation mode on the CPU, which maps normalised images (N, 3, H, W) to features. A convolutional
        network, and a transformer with ``output='maps'``, returns a tuple of maps (N, C, H', W'). A
        ``VisionTransformer`` with ``output='cls'`` or ``'mean'`` returns a Tensor (N, D), with ``'tokens'`` a Tensor
        (N, L, D). Its class describes other outputs.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The class does not exist or has no such argument, or the file does not determine its backbone.
    """
    if str(backbone) in list_backbones():
        check_options(str(backbone), ROLES['backbone'].members[str(backbone)], options)
        with DefaultScope.overwrite_default_scope('mmssl'):
            module = BACKBONES.build(dict(options, type=str(backbone)))
            _initialize(module)
        module.eval()
        return module
    file = read_path(backbone, 'backbone')
    if file.is_dir() and not holds_checkpoint(file):
        raise UserError(f'{str(backbone)!r} is a folder: give a file in it, such as epoch_N_backbone.pth')
    if not is_checkpoint(backbone) and not file.exists():
        hint = did_you_mean(str(backbone), list_backbones()) or f'; the backbones are {", ".join(list_backbones())}'
        raise UserError(f'{str(backbone)!r} is neither a file nor a backbone{hint}')
    found = find_backbone(file, part)
    if (name := found.config.get('type')) in list_backbones():
        check_options(name, ROLES['backbone'].members[name], options)
    return build_backbone(found, file, **options)

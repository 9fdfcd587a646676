"""Loading of a trained model from its checkpoint alone."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from mmengine.utils import import_modules_from_strings
from torch import nn

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import holds_checkpoint, is_address, load_checkpoint_file
from mmssl.checkpoints.matching import load_matching, load_whole
from mmssl.compat.downstream import prepare_downstream
from mmssl.config.check import check_present
from mmssl.config.load import apply_options, load_config
from mmssl.config.published import model_of_checkpoint, without_published
from mmssl.config.text import read_config_text
from mmssl.converters.arrays import load_official_file
from mmssl.converters.files import ConvertedBackbone, convert_backbone
from mmssl.converters.transfer import load_trained_weights
from mmssl.registry import BACKBONES, MODELS
from mmssl.utils.errors import UserError


def load_trained(
    checkpoint: str,
    config: str | Config | None = None,
    cfg_options: dict[str, Any] | None = None,
    prefix: str | None = None,
    *,
    whole: bool | None = False,
    random_init: int | None = None,
) -> tuple[Config, nn.Module]:
    """Builds the model of a checkpoint and loads its backbone, in evaluation mode on the default device.

    The default scope of the program does not change: a caller that builds datasets sets it with ``init_default_scope``.

    Args:
        checkpoint: Path or http(s) address of a training checkpoint, or of a backbone file together with ``config``.
        config: Config, config file or name of a recipe; None takes the config that MMEngine writes into training
            checkpoints.
        cfg_options: Dotted keys and values that override the config.
        prefix: Prefix of the backbone's names in the file, such as ``'teacher.backbone'``; None finds the student.
        whole: Whether all tensors of the model are loaded; None loads all tensors from a training checkpoint, and only
            the backbone from any other file.
        random_init: Seed of random initial weights, which are used instead of the checkpoint's: the untrained network,
            for comparison. None loads the checkpoint.

    Returns:
        The config and the algorithm; neck, head and teacher keep their initial weights unless ``whole`` is set.

    Raises:
        UserError: The file does not exist or is damaged, has no config, contains another backbone or model, or
            lacks one of its tensors.
    """
    if not is_address(checkpoint) and not holds_checkpoint(checkpoint):
        raise UserError(f'checkpoint {checkpoint!r} does not exist')
    content = load_checkpoint_file(checkpoint)
    offered = get_state_dict(content)
    if isinstance(config, Config):
        cfg = config
    elif config is not None:
        cfg = load_config(config, cfg_options)
    else:
        meta = content.get('meta')
        text = meta.get('cfg') if isinstance(meta, Mapping) else None
        if not isinstance(text, str):
            raise UserError(
                f'{checkpoint} has no config, because only training checkpoints have one: '
                'give the config of its training (recipe= or --config)'
            )
        cfg = read_config_text(text, checkpoint)
        apply_options(cfg, cfg_options)
        cfg.setdefault('default_scope', 'mmssl')
        if cfg.default_scope != 'mmssl':
            prepare_downstream()
        _import_plugins(cfg, checkpoint)
    check_present(cfg, 'model')
    model = _build(cfg, random_init)
    if random_init is None:
        if whole is None:
            load_trained_weights(model, checkpoint, content)
        elif whole:
            load_whole(model, offered, checkpoint)
        else:
            load_matching(model.backbone, offered, checkpoint, prefix)
    return cfg, model.to(get_device()).eval()


def _import_plugins(cfg: Config, checkpoint: str) -> None:
    if not cfg.get('custom_imports'):
        return
    try:
        import_modules_from_strings(**cfg.custom_imports)
    except ImportError as error:
        cause = error.__context__ or error
        raise UserError(
            f'the config in {checkpoint} imports {cfg.custom_imports.get("imports")}, which fails here ({cause}): '
            'install this package, or add its folder to PYTHONPATH'
        ) from error


def _build(cfg: Config, seed: int | None) -> Any:
    """Builds a model, and initializes it with a seed; without one, torch's random state does not change."""
    with DefaultScope.overwrite_default_scope(cfg.default_scope), ExitStack() as stack:
        if seed is None:
            stack.enter_context(torch.random.fork_rng(devices=[]))
        else:
            torch.manual_seed(seed)
        model = MODELS.build(model_of_checkpoint(cfg.model))
        if seed is not None:
            model.init_weights()
    return model


def load_backbone(
    file: str | Path, part: str = 'backbone', source: str | None = None, num_heads: int | None = None, **options: Any
) -> nn.Module:
    """Builds the backbone that a file describes, and loads all of its tensors.

    Args:
        file: Backbone file or training checkpoint of mmssl, or any other file that ``load_official_file`` reads.
        part: Part to load, see ``convert_backbone``.
        source: Source of the file, see ``convert_backbone``.
        num_heads: Number of attention heads, see ``convert_backbone``.
        **options: Arguments of the backbone, which override those from the file.

    Returns:
        The backbone in evaluation mode on the CPU.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file does not determine its backbone, or the tensors do not fit the backbone with ``options``.
    """
    return build_backbone(find_backbone(file, part, source, num_heads), file, **options)


def find_backbone(
    file: str | Path, part: str = 'backbone', source: str | None = None, num_heads: int | None = None
) -> ConvertedBackbone:
    """Finds the tensors and the config of the backbone in a file; see ``load_backbone`` for the arguments.

    If the class is not registered, the plugins that the config of a training checkpoint names are imported.

    Raises:
        FileNotFoundError: The file does not exist.
        UserError: The file does not determine its backbone, or a plugin cannot be imported.
    """
    content = load_official_file(file)
    found = convert_backbone(content, 'mmssl', source, part, num_heads)
    meta = content.get('meta') if isinstance(content, Mapping) else None
    text = meta.get('cfg') if isinstance(meta, Mapping) else None
    if isinstance(text, str) and 'type' in found.config and not _is_registered(found.config['type']):
        _import_plugins(read_config_text(text, str(file)), str(file))
    return found


def _is_registered(name: str) -> bool:
    if '.' in name:  # a class of mmdet or mmseg
        prepare_downstream()
    try:
        with DefaultScope.overwrite_default_scope('mmssl'):
            return MODELS.get(name) is not None
    except RuntimeError:  # of a name with a dot
        return False


def build_backbone(found: ConvertedBackbone, file: str | Path, **options: Any) -> nn.Module:
    """Builds the backbone that ``find_backbone`` found in a file; see ``load_backbone``."""
    if 'type' not in found.config:
        raise UserError(
            f'{file} does not determine which backbone it contains: '
            'mmssl.get_model(RECIPE, FILE).backbone loads it into the backbone of a recipe'
        )
    if not _is_registered(found.config['type']):
        raise UserError(
            f'{file} contains a {found.config["type"]}, and no class of this name is registered: import its package '
            'first, or give the training checkpoint epoch_N.pth, if its config has custom_imports'
        )
    config = {name: value for name, value in found.config.items() if name != 'init_cfg'}  # the file has the weights
    with DefaultScope.overwrite_default_scope('mmssl'), torch.random.fork_rng(devices=[]):
        module = BACKBONES.build(without_published(config) | options)
    load_matching(module, found.tensors, str(file), prefix='', min_match=1.0)
    module.eval()  # whose result is None for a backbone of mmdet, because its train() returns nothing
    return module

"""A trained model from its checkpoint alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope, init_default_scope
from mmengine.utils import import_modules_from_strings
from torch import nn

from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching, load_whole
from mmssl.compat.downstream import prepare_downstream
from mmssl.config.load import apply_options, load_config
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
    """Builds the model of a checkpoint, in evaluation mode on this machine's device, and loads its backbone.

    Args:
        checkpoint: Training checkpoint, or a backbone file together with ``config``.
        config: Config, config file or name of a recipe; None takes the config that MMEngine writes into training
            checkpoints.
        cfg_options: Dotted keys and values that override the config.
        prefix: What precedes the backbone's names in the file, such as ``'teacher.backbone'``; None finds the student.
        whole: Whether everything else is loaded as well, to the last tensor; None loads everything from a training
            checkpoint, and the backbone alone from any other file.
        random_init: Seed of initial weights, which are kept: the network before it was trained, to compare with.

    Returns:
        The config and the algorithm; neck, head and teacher keep their initial weights unless ``whole`` is set.

    Raises:
        UserError: The file does not exist or is damaged, carries no config, or holds another backbone or model.
    """
    if not Path(checkpoint).is_file():
        raise UserError(f'checkpoint {checkpoint!r} does not exist')
    content = load_checkpoint_file(checkpoint)
    offered = get_state_dict(content)
    if isinstance(config, Config):
        cfg = config
    elif config is not None:
        cfg = load_config(config, cfg_options)
    else:
        text = (content.get('meta') or {}).get('cfg')
        if not isinstance(text, str):
            raise UserError(
                f'{checkpoint} carries no config, which only the checkpoints of a training do: '
                'name the file that it was trained with by --config'
            )
        cfg = read_config_text(text, checkpoint)
        apply_options(cfg, cfg_options)
        cfg.setdefault('default_scope', 'mmssl')
        if cfg.default_scope != 'mmssl':
            prepare_downstream()
        if cfg.get('custom_imports'):
            import_modules_from_strings(**cfg.custom_imports)
    init_default_scope(cfg.default_scope)
    if random_init is not None:
        torch.manual_seed(random_init)
    model = MODELS.build(cfg.model)
    if random_init is not None:
        model.init_weights()
    elif whole is None:
        load_trained_weights(model, checkpoint, content)
    elif whole:
        load_whole(model, offered, checkpoint)
    else:
        load_matching(model.backbone, offered, checkpoint, prefix)
    return cfg, model.to(get_device()).eval()


def load_backbone(
    file: str | Path, part: str = 'backbone', source: str | None = None, num_heads: int | None = None, **options: Any
) -> nn.Module:
    """Builds the backbone in a file and loads it to the last tensor.

    Args:
        file: A backbone file or training checkpoint of mmssl, or any other file that ``load_official_file`` reads.
        part: See ``convert_backbone``.
        source: See ``convert_backbone``.
        num_heads: See ``convert_backbone``.
        **options: Arguments of the backbone, over those that the file tells.

    Returns:
        The backbone in evaluation mode on the CPU.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file does not tell which backbone it holds, or an option makes it another one.
    """
    return build_backbone(convert_backbone(load_official_file(file), 'mmssl', source, part, num_heads), file, **options)


def build_backbone(found: ConvertedBackbone, file: str | Path, **options: Any) -> nn.Module:
    """Builds the backbone that ``convert_backbone`` found in a file; see ``load_backbone``."""
    if 'type' not in found.config:
        raise UserError(
            f'{file} does not tell which backbone it holds: '
            'mmssl.get_model(RECIPE, FILE).backbone loads it into the one of a recipe'
        )
    with DefaultScope.overwrite_default_scope('mmssl'):
        module = BACKBONES.build(found.config | dict(init_cfg=None) | options)
    load_matching(module, found.tensors, str(file), prefix='', min_match=1.0)
    return module.eval()

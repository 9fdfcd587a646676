"""Settings of a pre-training that continues from trained weights and must not destroy them."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from mmssl.registry import MODELS
from mmssl.utils.errors import UserError, did_you_mean

DEFAULTS: dict[str, Any] = dict(
    lr_factor=0.1, layer_decay=0.8, head_epochs=1, frozen_blocks=0, low_rank=0, val_interval=1
)
_CONSTRUCTOR = 'GroupedOptimWrapperConstructor'


def is_pretraining(cfg: Config) -> bool:
    """Returns whether the config trains a backbone without labels, not a classifier, detector or segmenter."""
    if cfg.get('default_scope', 'mmssl') != 'mmssl' or not isinstance((cfg.get('model') or {}).get('type'), str):
        return False
    algorithm = MODELS.get(cfg.model.type)
    return algorithm is not None and hasattr(algorithm, 'on_step_end') and not hasattr(algorithm, 'predict')


def go_on_gently(cfg: Config) -> list[str]:
    """Changes a pre-training config in place for a start from trained weights.

    The key ``continued`` of the config, which is removed, overrides the defaults; None changes nothing. Rates that the
    recipe gives to its backbone itself, such as a layer decay, stay unless ``continued`` names them.

    - ``lr_factor=0.1``: factor of the learning rate of the backbone; neck and head keep their rate;
    - ``layer_decay=0.8``: further factor from block to block, from the output to the embeddings; 1 turns it off;
    - ``head_epochs=1``: number of first epochs in which only neck and head train, because they begin with random
      weights;
    - ``frozen_blocks=0``: number of first blocks that do not change, with the embedding before them;
    - ``low_rank=0``: rank of updates that train in place of the backbone's weights, see ``add_low_rank``;
    - ``val_interval=1``: epochs between evaluations.

    Returns:
        One sentence for each change, for the log.

    Raises:
        UserError: A setting is unknown or outside its range.
    """
    given = cfg.pop('continued', {})
    if given is None:
        return []
    if not isinstance(given, dict):
        raise UserError(f'continued takes a dict of {", ".join(DEFAULTS)}, or None, got {given!r}')
    wrong = [key for key in given if key not in DEFAULTS]
    if wrong:
        hint = did_you_mean(wrong[0], DEFAULTS) or f'; it takes {", ".join(DEFAULTS)}'
        raise UserError(f'continued has no setting {wrong[0]!r}{hint}')
    settings = DEFAULTS | dict(given)
    _check(settings)
    changes = _slow_down(cfg, settings, set(given))
    if settings['head_epochs']:
        freeze = dict(type='FreezeHook', name='backbone', epochs=settings['head_epochs'])
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), freeze]
        changes.append(
            f'the backbone does not move in the first epochs ({settings["head_epochs"]}): heads start at random'
        )
    trainable = {key: settings[key] for key in ('frozen_blocks', 'low_rank') if settings[key]}
    if trainable:
        cfg.trainable = dict(cfg.get('trainable') or {}, **trainable)
    if settings['frozen_blocks']:
        changes.append(f'the embedding and the first blocks do not change ({settings["frozen_blocks"]})')
    if settings['low_rank']:
        changes.append(f'updates of rank {settings["low_rank"]} train in place of the weights of the backbone')
    if cfg.get('val_evaluator') and 'max_iters' not in (cfg.get('train_cfg') or {}):
        cfg.train_cfg = dict(cfg.get('train_cfg') or {}, val_interval=settings['val_interval'])
        changes.append(f'epochs between evaluations: {settings["val_interval"]}')
    return changes


def _check(settings: dict[str, Any]) -> None:
    for key in ('lr_factor', 'layer_decay'):
        if not isinstance(settings[key], (int, float)) or not 0 < settings[key] <= 1:
            raise UserError(f'continued.{key} must be a number in (0, 1], got {settings[key]!r}')
    for key in ('head_epochs', 'frozen_blocks', 'low_rank', 'val_interval'):
        if not isinstance(settings[key], int) or settings[key] < (key == 'val_interval'):
            raise UserError(f'continued.{key} must be a whole number, got {settings[key]!r}')


def _slow_down(cfg: Config, settings: dict[str, Any], given: set[str]) -> list[str]:
    """Writes the lower rates of the backbone into ``paramwise_cfg``; ``given`` are the keys that the user has set."""
    constructor = str(cfg.optim_wrapper.get('constructor', _CONSTRUCTOR))
    if constructor.removeprefix('mmssl.') != _CONSTRUCTOR:
        return [f'rates are those of {constructor}']
    paramwise = dict(cfg.optim_wrapper.get('paramwise_cfg') or {})
    if 'lr_factor' in given or 'backbone_lr_mult' not in paramwise:
        paramwise['backbone_lr_mult'] = settings['lr_factor']
    has_order = hasattr(MODELS.get(cfg.model.backbone.type), 'layers_to_output')
    if 'layer_decay' in given or 'layer_decay' not in paramwise and has_order and not settings['low_rank']:
        paramwise['layer_decay'] = settings['layer_decay']
    if paramwise.get('layer_decay') == 1:
        del paramwise['layer_decay']
    cfg.optim_wrapper.paramwise_cfg = paramwise
    changes = [f'the backbone learns at {paramwise["backbone_lr_mult"]:g} times the rate of the recipe']
    if 'layer_decay' in paramwise:
        changes[0] += f', {paramwise["layer_decay"]:g} times that from block to block'
        if (paramwise.get('vectors') or {}).get('decay_mult') == 0:
            changes.append('tokens and position tables of the backbone do not decay, as biases and norms')
    return changes

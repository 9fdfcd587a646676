"""Settings of a pre-training that continues from trained weights and must not destroy them."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config

from mmssl.registry import MODELS
from mmssl.utils.errors import UserError, did_you_mean

DEFAULTS: dict[str, Any] = dict(
    lr_factor=0.1, layer_decay=0.8, head_epochs=1, frozen_blocks=0, low_rank=0, val_interval=1
)


def is_pretraining(cfg: Config) -> bool:
    """Returns whether the config trains a backbone without labels, not a classifier, detector or segmenter."""
    if cfg.get('default_scope', 'mmssl') != 'mmssl' or not isinstance((cfg.get('model') or {}).get('type'), str):
        return False
    algorithm = MODELS.get(cfg.model.type)
    return algorithm is not None and hasattr(algorithm, 'on_step_end') and not hasattr(algorithm, 'predict')


def go_on_gently(cfg: Config) -> list[str]:
    """Changes a pre-training config in place for a start from trained weights.

    The key ``continued`` of the config, which is removed, overrides the defaults; None changes nothing.

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
    wrong = [key for key in given if key not in DEFAULTS]
    if wrong:
        hint = did_you_mean(wrong[0], DEFAULTS) or f'; it takes {", ".join(DEFAULTS)}'
        raise UserError(f'continued has no setting {wrong[0]!r}{hint}')
    settings = DEFAULTS | dict(given)
    _check(settings)
    changes = _slow_down(cfg, settings)
    if settings['head_epochs']:
        freeze = dict(type='FreezeHook', name='backbone', epochs=settings['head_epochs'])
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), freeze]
        changes.append(
            f'the backbone does not move in the first epochs ({settings["head_epochs"]}): heads start at random'
        )
    trainable = {key: settings[key] for key in ('frozen_blocks', 'low_rank') if settings[key]}
    if trainable:
        cfg.trainable = trainable
    if cfg.get('val_evaluator') and 'max_iters' not in (cfg.get('train_cfg') or {}):
        cfg.train_cfg = dict(cfg.get('train_cfg') or {}, val_interval=settings['val_interval'])
    return changes


def _check(settings: dict[str, Any]) -> None:
    for key in ('lr_factor', 'layer_decay'):
        if not isinstance(settings[key], (int, float)) or not 0 < settings[key] <= 1:
            raise UserError(f'continued.{key} must be a number in (0, 1], got {settings[key]!r}')
    for key in ('head_epochs', 'frozen_blocks', 'low_rank', 'val_interval'):
        if not isinstance(settings[key], int) or settings[key] < (key == 'val_interval'):
            raise UserError(f'continued.{key} must be a whole number, got {settings[key]!r}')


def _slow_down(cfg: Config, settings: dict[str, Any]) -> list[str]:
    """Writes the lower rates of the backbone into ``paramwise_cfg``."""
    if cfg.optim_wrapper.get('constructor', 'GroupedOptimWrapperConstructor') != 'GroupedOptimWrapperConstructor':
        return [f'rates are those of {cfg.optim_wrapper.constructor}']
    factor, decay = settings['lr_factor'], settings['layer_decay']
    rates: dict[str, Any] = dict(backbone_lr_mult=factor)
    if decay < 1 and not settings['low_rank'] and hasattr(MODELS.get(cfg.model.backbone.type), 'layers_to_output'):
        rates['layer_decay'] = decay
    paramwise = dict(cfg.optim_wrapper.get('paramwise_cfg') or {})
    cfg.optim_wrapper.paramwise_cfg = rates | paramwise
    lower = f', {decay:g} times that from block to block' if 'layer_decay' in rates else ''
    return [f'the backbone learns at {factor:g} times the rate of the recipe{lower}']

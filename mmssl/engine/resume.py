"""Checks that a checkpoint can be resumed, and reports settings that differ from those of its run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

from mmssl.config.text import read_config_text
from mmssl.engine.schedules import ClosedFormSchedule
from mmssl.utils.errors import UserError

# Keys that change the numbers of a run; other keys say where a run is written, shown and computed.
_COMPARED = (
    *('model', 'optim_wrapper', 'param_scheduler', 'train_dataloader', 'max_epochs', 'train_cfg', 'sync_bn'),
    *('custom_hooks', 'micro_batch', 'randomness', 'trainable', 'auto_scale_lr'),
    'step',  # of a stage that is no training
)
_UNCOMPARED = {'num_workers', 'persistent_workers', 'prefetch_factor', 'pin_memory', 'val_interval', 'val_begin'}
# Keys whose values are restored with the state of the optimizer, so that a new value has no effect.
_KEPT = ('optim_wrapper.optimizer.', 'optim_wrapper.paramwise_cfg', 'auto_scale_lr.')
# Hooks that change no number of a run after its start.
_HARMLESS_HOOKS = {'TransferHook', 'StartScoreHook', 'FiguresHook', 'FitTokenizerHook'}
_NOTHING = object()
_MAX_SHOWN = 12


def check_resumable(runner: Runner, checkpoint: dict[str, Any], filename: str) -> None:
    """Checks that a run can be resumed from a checkpoint, and logs the settings that differ.

    Args:
        runner: Runner with training loop, optimizer and schedules.
        checkpoint: Content of the checkpoint.
        filename: File of the checkpoint, for messages.

    Raises:
        UserError: The checkpoint only holds weights, or its run has another seed, optimizer, number of schedules or
            epoch length.
    """
    meta = checkpoint.get('meta')
    if 'optimizer' not in checkpoint or not isinstance(meta, dict):
        raise UserError(f'{filename} only holds weights and cannot be resumed; to start from its weights set load_from')
    before = _config_before(meta, filename)
    problems = [*_contradictions(runner, checkpoint, before)]
    if problems:
        raise UserError(
            f'{filename} cannot be resumed: {"; ".join(problems)}. Resume with the settings of that run, or start a '
            'new run from its weights (load_from without --resume)'
        )
    if before is None:
        runner.logger.warning(f'the config in {filename} cannot be read, so it is not compared with that of this run')
        return
    kept, new = [], []
    for key, old, value in differences(before, runner.cfg):
        if key.startswith(_KEPT) or _is_of_kept_schedule(key, runner.param_schedulers):
            kept.append(f'{key}: {_text(old)} of the checkpoint is kept, {_text(value)} of this config is ignored')
        else:
            new.append(f'{key}: {_text(value)} from now on, {_text(old)} before')
    if kept or new:
        lines = [*kept, *new]
        more = [f'... and {len(lines) - _MAX_SHOWN} more'] if len(lines) > _MAX_SHOWN else []
        runner.logger.warning(
            '\n  '.join([f'this config differs from the one in {filename}:', *lines[:_MAX_SHOWN], *more])
        )


def compared_settings(cfg: Config) -> dict[str, Any]:
    """Returns dotted key -> value of every setting that changes the numbers of a run, or of a step between runs."""
    compared = {key: cfg[key] for key in _COMPARED if key in cfg}
    hooks = [hook for hook in compared.pop('custom_hooks', None) or () if not _is_harmless(hook)]
    return dict(_leaves(compared | (dict(custom_hooks=hooks) if hooks else {})))


def _is_harmless(hook: Any) -> bool:
    return isinstance(hook, dict) and str(hook.get('type')).rpartition('.')[2] in _HARMLESS_HOOKS


def differences(before: Config, now: Config) -> list[tuple[str, Any, Any]]:
    """Returns (dotted key, value before, value now) of every setting that differs and changes the numbers of a run."""
    old, new = compared_settings(before), compared_settings(now)
    keys = [*new, *(key for key in old if key not in new)]
    return [(key, old.get(key, _NOTHING), new.get(key, _NOTHING)) for key in keys if old.get(key) != new.get(key)]


def _is_of_kept_schedule(key: str, schedules: Any) -> bool:
    """Returns whether a dotted key belongs to a schedule of MMEngine, which a checkpoint restores with its numbers."""
    top, _, rest = key.partition('.')
    number = int(rest.partition('.')[0]) if rest.partition('.')[0].isdigit() else 0
    if top != 'param_scheduler' or not isinstance(schedules, list) or number >= len(schedules):
        return False
    return not isinstance(schedules[number], ClosedFormSchedule)


def _contradictions(runner: Runner, checkpoint: dict[str, Any], before: Config | None) -> Iterator[str]:
    meta, length = checkpoint['meta'], len(runner.train_dataloader)
    if meta.get('epoch_length', length) != length:
        yield (
            f'its run has {meta["epoch_length"]} iterations per epoch and this run has {length}, so data, batch size '
            'or number of processes differ'
        )
    if meta.get('seed') is not None and meta['seed'] != runner.seed:
        yield f'its seed is {meta["seed"]} and that of this run is {runner.seed} (randomness.seed, --seed)'
    optimizer = runner.optim_wrapper.optimizer
    name = type(optimizer).__name__
    if before is not None:
        old, own = (_optimizer_type(cfg) for cfg in (before, runner.cfg))  # a class may have another name than here
        if old is not None and old not in (own, name):
            yield f'its optimizer is {old} and that of this run is {name} (optim_wrapper.optimizer.type)'
            return
    groups = checkpoint['optimizer'].get('param_groups', optimizer.param_groups)
    sizes = [[len(group['params']) for group in some] for some in (groups, optimizer.param_groups)]
    if sizes[0] != sizes[1]:
        yield (
            f'its optimizer has groups of {sizes[0]} parameters and that of this run has groups of {sizes[1]}, so the '
            'model, its frozen parameters or optim_wrapper.paramwise_cfg differ'
        )
    schedules = checkpoint.get('param_schedulers')
    if isinstance(schedules, list) and isinstance(runner.param_schedulers, list):
        if len(schedules) != len(runner.param_schedulers):
            yield f'it has {len(schedules)} schedules and this run has {len(runner.param_schedulers)} (param_scheduler)'


def _optimizer_type(cfg: Config) -> str | None:
    """Returns the type of the optimizer in a config without scope or module; None if it is not a name."""
    found = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type')
    return found.rpartition('.')[2] if isinstance(found, str) else None


def _config_before(meta: dict[str, Any], filename: str) -> Config | None:
    text = meta.get('cfg')
    try:
        return read_config_text(text, filename) if isinstance(text, str) else None
    except UserError:
        return None


def _leaves(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, plain value) of all values below ``node``; lists and tuples give the same keys."""
    if isinstance(node, (dict, list, tuple)) and node:
        for key, value in node.items() if isinstance(node, dict) else enumerate(node):
            if key not in _UNCOMPARED:
                yield from _leaves(value, f'{place}.{key}' if place else str(key))
    else:
        yield place, node if not isinstance(node, (list, tuple)) else []


def _text(value: Any) -> str:
    return 'no value' if value is _NOTHING else repr(value)

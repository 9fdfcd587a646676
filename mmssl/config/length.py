"""The length of a run in a config: one option changes the loop and the milestones of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config

from mmssl.utils.errors import UserError

_UNITS = {'max_epochs': True, 'max_iters': False}  # option -> whether schedules count it with by_epoch=True


def old_length(cfg: Config) -> dict[str, int]:
    """Returns ``max_epochs`` and ``max_iters`` of a config, those that it has, before options change them."""
    train_cfg = cfg.get('train_cfg') or {}
    found = {key: cfg.get(key, train_cfg.get(key)) for key in _UNITS}
    return {key: value for key, value in found.items() if isinstance(value, int)}


def follow_length(cfg: Config, options: Mapping[str, Any], before: Mapping[str, int]) -> None:
    """Adapts loop and schedules to a length that options changed.

    ``max_epochs=24`` and ``train_cfg.max_epochs=24`` mean the same, and so do ``max_iters``. MMEngine's schedules that
    count in the same unit are adapted: ends at the old length move to the new length, and milestones are scaled by the
    same factor. Earlier ends, such as the end of a warm-up, do not change. Schedules of mmssl read the length of the
    run. Options that set a schedule have priority.

    Args:
        cfg: Config with the options applied, changed in place.
        options: Dotted keys and values.
        before: Result of ``old_length`` before the options were applied.

    Raises:
        UserError: A length is not a positive integer, the two keys for it contradict each other, or the run counts
            iterations and the option epochs.
    """
    for key, by_epoch in _UNITS.items():
        given = {name: options[name] for name in (key, f'train_cfg.{key}') if name in options}
        if not given:
            continue
        new = next(iter(given.values()))
        if not isinstance(new, int) or isinstance(new, bool) or new < 1:
            raise UserError(f'{next(iter(given))} must be a whole number of at least 1, got {new!r}')
        if len(set(given.values())) > 1:
            raise UserError(f'{key}={given[key]} and train_cfg.{key}={given[f"train_cfg.{key}"]} contradict each other')
        train_cfg = cfg.get('train_cfg') or {}
        if by_epoch and 'max_iters' in train_cfg and train_cfg.get('by_epoch') is not True:
            raise UserError(
                f'{next(iter(given))}={new} changes nothing: the length of this run is '
                f'train_cfg.max_iters={train_cfg["max_iters"]}; give one of the two'
            )
        for owner in (cfg, train_cfg):
            if key in owner:
                owner[key] = new
        if key in before and not any(name.startswith('param_scheduler') for name in options):
            _move_schedules(cfg.get('param_scheduler'), by_epoch, before[key], new)


def _move_schedules(schedules: Any, by_epoch: bool, old: int, new: int) -> None:
    for schedule in schedules if isinstance(schedules, (list, tuple)) else [schedules]:
        if not isinstance(schedule, dict) or schedule.get('by_epoch', True) != by_epoch:
            continue
        begin = schedule.get('begin', 0)
        if begin >= new:
            raise UserError(f'a run of {new} ends before the schedule {schedule.get("type")} begins, at {begin}')
        if 'milestones' in schedule:  # fractions of the run do not change
            steps = schedule['milestones']
            schedule['milestones'] = [max(round(s * new / old), 1) if isinstance(s, int) else s for s in steps]
        if schedule.get('T_max') == old - begin:
            schedule['T_max'] = max(new - begin, 1)
        if schedule.get('end') == old:
            schedule['end'] = new

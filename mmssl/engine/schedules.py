"""Schedules of learning rate and weight decay in closed form: the value depends only on the position in the run.

The runner sets the length of a schedule to that of the run (``max_epochs``). A run that is resumed with another
``max_epochs`` follows the new length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from inspect import signature
from typing import Any

from mmengine.optim import _ParamScheduler
from torch.optim import Optimizer

from mmssl.registry import PARAM_SCHEDULERS
from mmssl.utils.errors import UserError


class ClosedFormSchedule(_ParamScheduler):
    """Base class of schedules: value = base value * ``factor(step)``, with the base value of the optimizer's config.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Length of the run in epochs.
        end: Length of the run in epochs if ``by_epoch``, else in iterations; set by the runner.
        by_epoch: True makes an epoch a step of the schedule, False an optimizer step, which takes several iterations if
            gradients are accumulated.
        param_name: Entry of the parameter groups to schedule: ``'lr'`` (constant in groups with ``fix_lr=True``) or
            another one such as ``'weight_decay'``.
        delay: Number of steps by which the schedule is shifted to later; the first value is held until then.

    Raises:
        ValueError: ``delay`` is negative.
    """

    _STATE = ('base_values', 'last_step', '_global_step', '_last_value')

    def __init__(
        self,
        optimizer: Optimizer,
        *,
        max_epochs: int,
        end: int,
        by_epoch: bool,
        param_name: str = 'lr',
        delay: int = 0,
    ) -> None:
        if delay < 0:
            raise ValueError(f'delay must be a number of steps >= 0, got {delay}')
        self.max_epochs = max_epochs
        self.delay = delay
        self.accumulation = 1 if by_epoch else getattr(optimizer, '_accumulative_counts', 1)  # iterations per step
        self.num_steps = -(-end // self.accumulation)
        super().__init__(optimizer, param_name, end=end, by_epoch=by_epoch)
        # The base class warns if a schedule moves before the first optimizer step, which accumulation makes normal.
        self.optimizer._global_step = 0

    def factor(self, step: float) -> float:
        """Returns the factor of the base value at ``step``, in [0, ``self.num_steps``)."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define factor()')

    def epochs_to_steps(self, epochs: float) -> float:
        """Converts epochs to steps of the schedule."""
        return epochs * self.num_steps / self.max_epochs

    def _get_value(self) -> list[float]:
        factor = self.factor(max(self._global_step // self.accumulation - self.delay, 0))
        return [
            base if self.param_name == 'lr' and group.get('fix_lr') else base * factor
            for base, group in zip(self.base_values, self.optimizer.param_groups)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Returns position and base values; shape and length of the schedule come from the config instead."""
        return {key: getattr(self, key) for key in self._STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position, and sets the value of this schedule at the position."""
        super().load_state_dict(state_dict)
        self.move_to(self._global_step)

    def move_to(self, position: int) -> None:
        """Moves to a position in the run, in epochs if ``by_epoch``, else in iterations, and sets the value there."""
        self._global_step = position
        if self._global_step < self.end:
            for group, value in zip(self.optimizer.param_groups, self._get_value()):
                group[self.param_name] = value


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(ClosedFormSchedule):
    r"""Linear warm-up, then half a cosine down to ``end_factor`` (Loshchilov and Hutter, 2017, arXiv:1608.03983).

    At step t of T with W warm-up steps the factor is ``p + start_factor (1 - p)`` for ``t < W`` and
    ``q + end_factor (1 - q)`` afterwards, with ``p = t / W`` and ``q = (1 + cos(pi (t - W) / (T - W))) / 2``. With
    ``peak_in_warmup``, ``p = t / (W - 1)``. With ``cosine_from_start``, ``q = (1 + cos(pi t / T)) / 2``. ``part``
    multiplies the angle of the cosine.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Length of the run in epochs; set by the runner.
        end: Length of the run in epochs if ``by_epoch``, else in iterations; set by the runner.
        warmup_epochs: Length of the warm-up in epochs, in [0, max_epochs].
        by_epoch: True changes the lr once per epoch (MoCo v2, SimSiam), False at every iteration.
        start_factor: Factor at the start of the warm-up, in [0, 1]; 5e-6 in CARE.
        end_factor: Factor at the end of the run, in [0, 1]; 0.001 in Barlow Twins and VICReg.
        cosine_from_start: True lets the cosine span the whole run, and the warm-up replaces its first part; the lr then
            drops a little after the warm-up, as in SimMIM.
        peak_in_warmup: True gives the last step of the warm-up the highest lr, so that two steps have it, as in DINO,
            BEiT and iTPN with CLIP, whose warm-up is ``numpy.linspace(0, lr, W)``.
        part: Share of the half cosine that the run takes, in (0, 1]; with 0.8, as in CAPI, the lr ends at 0.0955 of its
            peak.
        delay: Number of steps by which the schedule is shifted to later; 1 in SimMIM, which sets the lr of step t after
            step t.

    Raises:
        ValueError: The warm-up is longer than the run, or a factor or ``part`` is outside its range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_epochs: int,
        end: int,
        warmup_epochs: float = 0,
        by_epoch: bool = False,
        start_factor: float = 0.0,
        end_factor: float = 0.0,
        cosine_from_start: bool = False,
        peak_in_warmup: bool = False,
        part: float = 1.0,
        delay: int = 0,
    ) -> None:
        _check_warmup(max_epochs, warmup_epochs, start_factor=start_factor, end_factor=end_factor)
        if not 0 < part <= 1:
            raise ValueError(f'part must be a share of the cosine in (0, 1], got {part}')
        self.warmup_epochs = warmup_epochs
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.cosine_from_start = cosine_from_start
        self.peak_in_warmup = peak_in_warmup
        self.part = part
        super().__init__(optimizer, max_epochs=max_epochs, end=end, by_epoch=by_epoch, delay=delay)

    def factor(self, step: float) -> float:
        """Returns the factor at ``step``, in [0, 1]."""
        warmup = self.epochs_to_steps(self.warmup_epochs)
        if step < warmup:
            risen = step / max(warmup - self.peak_in_warmup, 1)
            return self.start_factor + (1 - self.start_factor) * min(risen, 1)
        start = 0 if self.cosine_from_start else warmup
        cosine = (1 + math.cos(math.pi * self.part * (step - start) / max(self.num_steps - start, 1))) / 2
        return cosine + self.end_factor * (1 - cosine)


@PARAM_SCHEDULERS.register_module()
class StepLR(ClosedFormSchedule):
    """Multiplies the lr by ``gamma`` at given fractions of the run, with an optional linear warm-up.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Length of the run in epochs; set by the runner.
        end: Length of the run in epochs if ``by_epoch``, else in iterations; set by the runner.
        milestones: Fractions of the run in (0, 1): ``[.6, .8]`` of 200 epochs are epochs 120 and 160.
        gamma: Factor at each milestone.
        by_epoch: True changes the lr once per epoch, False at every iteration.
        warmup_epochs: Length of the warm-up in epochs, in [0, max_epochs]; milestones within it have no effect yet.
        start_factor: Factor at the start of the warm-up, in [0, 1].
        delay: Number of steps by which the schedule is shifted to later; 1 in SimMIM, which sets the lr of step t after
            step t.

    Raises:
        ValueError: A milestone is outside (0, 1), the warm-up is longer than the run, or ``start_factor`` is outside
            its range.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_epochs: int,
        end: int,
        milestones: Sequence[float],
        gamma: float = 0.1,
        by_epoch: bool = True,
        warmup_epochs: float = 0,
        start_factor: float = 0.0,
        delay: int = 0,
    ) -> None:
        _check_warmup(max_epochs, warmup_epochs, start_factor=start_factor)
        if not all(0 < milestone < 1 for milestone in milestones):
            raise ValueError(f'milestones must be fractions of the run in (0, 1), got {list(milestones)}')
        self.milestones = milestones
        self.gamma = gamma
        self.warmup_epochs = warmup_epochs
        self.start_factor = start_factor
        super().__init__(optimizer, max_epochs=max_epochs, end=end, by_epoch=by_epoch, delay=delay)

    def factor(self, step: float) -> float:
        """Returns the factor of the warm-up, or ``gamma`` to the power of the number of passed milestones."""
        warmup = self.epochs_to_steps(self.warmup_epochs)
        if step < warmup:
            return self.start_factor + (1 - self.start_factor) * step / warmup
        # The tolerance absorbs rounding: .29 * 100 is not exactly 29.
        return self.gamma ** sum(step >= milestone * self.num_steps - 1e-6 for milestone in self.milestones)


@PARAM_SCHEDULERS.register_module()
class CosineWeightDecay(ClosedFormSchedule):
    """Changes the weight decay along half a cosine to ``end_factor`` times its base value (DINO, arXiv:2104.14294).

    A weight decay of 0 stays 0.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Length of the run in epochs; set by the runner.
        end: Length of the run in epochs if ``by_epoch``, else in iterations; set by the runner.
        end_factor: Factor at the end of the run >= 0; 10 in DINO, from 0.04 to 0.4.
        by_epoch: True changes the weight decay once per epoch, False at every iteration.

    Raises:
        ValueError: ``end_factor`` is negative.
    """

    def __init__(
        self, optimizer: Optimizer, max_epochs: int, end: int, end_factor: float, by_epoch: bool = False
    ) -> None:
        if end_factor < 0:
            raise ValueError(f'end_factor must be at least 0, got {end_factor}')
        self.end_factor = end_factor
        super().__init__(optimizer, max_epochs=max_epochs, end=end, by_epoch=by_epoch, param_name='weight_decay')

    def factor(self, step: float) -> float:
        """Returns the factor at ``step``, 1 at the start."""
        return self.end_factor + (1 - self.end_factor) * (1 + math.cos(math.pi * step / self.num_steps)) / 2


def with_length(cfg: Any, max_epochs: int | None, exact_length: float | None) -> Any:
    """Returns the config of a schedule with the length of the run, if its class is a ``ClosedFormSchedule``.

    Args:
        cfg: Config of a schedule; anything else is returned unchanged.
        max_epochs: Number of epochs of the run, for schedules of epochs; the last epoch may be incomplete.
        exact_length: Length of the run in epochs, for schedules of iterations.

    Raises:
        UserError: The config gives the length itself, or has ``convert_to_iter_based``.
    """
    if not isinstance(cfg, dict):
        return cfg
    cls = PARAM_SCHEDULERS.get(cfg['type']) if isinstance(cfg['type'], str) else cfg['type']
    if cls is None or not issubclass(cls, ClosedFormSchedule):
        return cfg
    if given := {'max_epochs', 'end'} & cfg.keys():
        raise UserError(
            f'param_scheduler: {cls.__name__} has no {max(given)} of its own, because it takes the length of '
            'the run: set max_epochs of the config'
        )
    if cfg.get('convert_to_iter_based'):
        raise UserError(f'param_scheduler: {cls.__name__} takes by_epoch=False instead of convert_to_iter_based=True')
    # MMEngine assumes by_epoch=True if it is missing, but some schedules have another default.
    by_epoch = cfg.get('by_epoch', signature(cls).parameters['by_epoch'].default)
    length = max_epochs if by_epoch else exact_length
    assert length is not None, 'a run has a length'
    return dict(cfg, by_epoch=by_epoch, max_epochs=int(length) if length == int(length) else length)


def check_schedules(schedules: Sequence[_ParamScheduler]) -> None:
    """Checks that no schedule undoes another one: a ``ClosedFormSchedule`` sets its value whatever others did to it.

    Raises:
        UserError: Two schedules change the same value, and one of them is a ``ClosedFormSchedule``.
    """
    for schedule in schedules:
        same = [other for other in schedules if other.param_name == schedule.param_name]
        if isinstance(schedule, ClosedFormSchedule) and len(same) > 1:
            raise UserError(
                f'param_scheduler: {" and ".join(type(other).__name__ for other in same)} change the same '
                f'{schedule.param_name}, and {type(schedule).__name__} sets it whatever the other did: give one of '
                'them; warmup_epochs adds a warm-up to a schedule of mmssl'
            )


def _check_warmup(max_epochs: float, warmup_epochs: float, **factors: float) -> None:
    if not 0 <= warmup_epochs <= max_epochs:
        raise ValueError(f'warmup_epochs must lie in [0, max_epochs={max_epochs}], got {warmup_epochs}')
    for name, value in factors.items():
        if not 0 <= value <= 1:
            raise ValueError(f'{name} must be a fraction of the highest lr in [0, 1], got {value}')

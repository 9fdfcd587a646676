"""Schedules of learning rate and weight decay in closed form: the value depends on the position in the run alone.

The length comes from the run (``max_epochs``), never from the schedule's own config, and a resumed run whose
``max_epochs`` was changed follows the new length.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from mmengine.optim import _ParamScheduler
from torch.optim import Optimizer

from mmssl.registry import PARAM_SCHEDULERS


class ClosedFormSchedule(_ParamScheduler):
    """Base: value = base value * ``factor(step)``, where the base value is that in the optimizer's config.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Epochs of the whole run.
        end: Length of the run in the schedule's unit, epochs (``by_epoch=True``) or iterations; the runner fills it.
        by_epoch: Whether the value changes once per epoch or at every iteration.
        param_name: What is scheduled: ``'lr'``, which parameter groups with ``fix_lr=True`` keep, or another of their
            entries.
        delay: Steps by which every value comes late; the first value is held until then.

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
            raise ValueError(f'delay is a number of steps of at least 0, got {delay}')
        self.max_epochs = max_epochs
        self.delay = delay
        super().__init__(optimizer, param_name, end=end, by_epoch=by_epoch)
        # With accumulated gradients the schedule rightly moves before the first step; the base would warn of it.
        self.optimizer._global_step = 0

    def factor(self, step: float) -> float:
        """Returns the factor at ``step`` of ``self.end`` steps."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define factor()')

    def epochs_to_steps(self, epochs: float) -> float:
        """Converts epochs to the schedule's unit."""
        return epochs * self.end / self.max_epochs

    def _get_value(self) -> list[float]:
        factor = self.factor(max(self._global_step - self.delay, 0))
        return [
            base if self.param_name == 'lr' and group.get('fix_lr') else base * factor
            for base, group in zip(self.base_values, self.optimizer.param_groups)
        ]

    def state_dict(self) -> dict[str, Any]:
        """Returns position and base values; the shape and length of the schedule belong to the config."""
        return {key: getattr(self, key) for key in self._STATE}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restores the position and sets the value that this schedule has there."""
        super().load_state_dict(state_dict)
        if self._global_step < self.end:
            for group, value in zip(self.optimizer.param_groups, self._get_value()):
                group[self.param_name] = value


@PARAM_SCHEDULERS.register_module()
class WarmupCosineLR(ClosedFormSchedule):
    r"""Linear warm-up from 0, then half a cosine to 0 (Loshchilov and Hutter, 2017, arXiv:1608.03983) or a little more.

    At step t of T with W warm-up steps the factor is ``p + start_factor (1 - p)`` with ``p = t / W`` for ``t < W`` and
    ``q + end_factor (1 - q)`` after, with ``q = (1 + cos(pi (t - W) / (T - W))) / 2``; with ``cosine_from_start`` it is
    ``q = (1 + cos(pi t / T)) / 2``. With ``peak_in_warmup`` it is ``p = t / (W - 1)``.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Epochs of the whole run; the runner fills it.
        end: Length of the run in epochs or iterations; the runner fills it.
        warmup_epochs: Epochs of warm-up, in [0, max_epochs].
        by_epoch: Whether the lr changes once per epoch (MoCo v2, SimSiam) or at every iteration.
        start_factor: The factor at the start of the warm-up, in [0, 1]; 5e-6 in CARE.
        end_factor: The factor at the end of the run, in [0, 1]; 0.001 in Barlow Twins and VICReg.
        cosine_from_start: The cosine spans the whole run and the warm-up stands in for its beginning, so that the lr
            falls a little where the warm-up ends, as in SimMIM.
        peak_in_warmup: The last step of the warm-up has the highest lr, and so has the step after it, as in DINO, BEiT
            and iTPN with CLIP, whose warm-up is ``numpy.linspace(0, lr, W)``.
        delay: Steps by which every lr comes late, 1 in SimMIM, which sets the lr of step t after step t.

    Raises:
        ValueError: The warm-up is longer than the run, or a factor is outside its range.
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
        delay: int = 0,
    ) -> None:
        _check_warmup(max_epochs, warmup_epochs, start_factor=start_factor, end_factor=end_factor)
        self.warmup_epochs = warmup_epochs
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.cosine_from_start = cosine_from_start
        self.peak_in_warmup = peak_in_warmup
        super().__init__(optimizer, max_epochs=max_epochs, end=end, by_epoch=by_epoch, delay=delay)

    def factor(self, step: float) -> float:
        """Returns the factor at ``step``, in [0, 1]."""
        warmup = self.epochs_to_steps(self.warmup_epochs)
        if step < warmup:
            risen = step / max(warmup - self.peak_in_warmup, 1)
            return self.start_factor + (1 - self.start_factor) * min(risen, 1)
        start = 0 if self.cosine_from_start else warmup
        cosine = (1 + math.cos(math.pi * (step - start) / max(self.end - start, 1))) / 2
        return cosine + self.end_factor * (1 - cosine)


@PARAM_SCHEDULERS.register_module()
class StepLR(ClosedFormSchedule):
    """Multiplies the lr by ``gamma`` at given fractions of the run, perhaps after a linear warm-up.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Epochs of the whole run; the runner fills it.
        end: Length of the run in epochs or iterations; the runner fills it.
        milestones: Fractions of the run, each in (0, 1): ``[.6, .8]`` of 200 epochs are epochs 120 and 160.
        gamma: The factor at each milestone.
        by_epoch: Whether the lr changes once per epoch or at every iteration.
        warmup_epochs: Epochs of warm-up, in [0, max_epochs], in which the lr is not yet multiplied.
        start_factor: The factor at the start of the warm-up, in [0, 1].
        delay: Steps by which every lr comes late, 1 in SimMIM, which sets the lr of step t after step t.

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
            raise ValueError(f'milestones are fractions of the run in (0, 1), got {list(milestones)}')
        self.milestones = milestones
        self.gamma = gamma
        self.warmup_epochs = warmup_epochs
        self.start_factor = start_factor
        super().__init__(optimizer, max_epochs=max_epochs, end=end, by_epoch=by_epoch, delay=delay)

    def factor(self, step: float) -> float:
        """Returns ``gamma`` to the number of milestones passed, or the factor of the warm-up."""
        warmup = self.epochs_to_steps(self.warmup_epochs)
        if step < warmup:
            return self.start_factor + (1 - self.start_factor) * step / warmup
        # The tolerance makes a product such as .29 * 100 the step it stands for.
        return self.gamma ** sum(step >= milestone * self.end - 1e-6 for milestone in self.milestones)


@PARAM_SCHEDULERS.register_module()
class CosineWeightDecay(ClosedFormSchedule):
    """Weight decay along half a cosine, up or down to ``end_factor`` times its value (DINO, arXiv:2104.14294).

    Parameters without weight decay stay without.

    Args:
        optimizer: Optimizer or optimizer wrapper.
        max_epochs: Epochs of the whole run; the runner fills it.
        end: Length of the run in epochs or iterations; the runner fills it.
        end_factor: The factor at the end of the run, >= 0; 10 in DINO, from 0.04 to 0.4.
        by_epoch: Whether the weight decay changes once per epoch or at every iteration.

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
        return self.end_factor + (1 - self.end_factor) * (1 + math.cos(math.pi * step / self.end)) / 2


def _check_warmup(max_epochs: float, warmup_epochs: float, **factors: float) -> None:
    if not 0 <= warmup_epochs <= max_epochs:
        raise ValueError(f'warmup_epochs must lie in [0, max_epochs={max_epochs}], got {warmup_epochs}')
    for name, value in factors.items():
        if not 0 <= value <= 1:
            raise ValueError(f'{name} is a fraction of the highest lr in [0, 1], got {value}')

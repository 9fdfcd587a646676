"""Freezes parameters for the first epochs."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from mmssl.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Freezes some parameters for the first epochs, as DINO and SwAV do with their prototypes.

    The gradients are computed, because DistributedDataParallel expects them, and are set to None before each optimizer
    step. So the optimizer applies neither update nor weight decay, and creates its state after the frozen epochs.

    With ``moments=True`` the optimizer takes its steps, and the values are put back after each of them, so that its
    moments are those of a run with a rate of 0, as in DINOv2.

    Args:
        name: First part of the parameters' names, such as ``'neck.last_layer'``.
        epochs: Number of frozen epochs.
        moments: Whether the optimizer's moments collect the gradients of the frozen epochs.

    Raises:
        ValueError: No trainable parameter has a name that begins with ``name``.
    """

    def __init__(self, name: str, epochs: int = 1, moments: bool = False) -> None:
        self.name = name
        self.epochs = epochs
        self.moments = moments
        self.handles: list[Any] = []

    def before_train(self, runner: Runner) -> None:
        """Registers the hooks of the optimizer."""
        named = [(name.removeprefix('module.'), p) for name, p in runner.model.named_parameters() if p.requires_grad]
        frozen = [p for name, p in named if name.startswith(self.name)]
        if not frozen:
            parts = sorted({name.rsplit('.', 1)[0] for name, _ in named})
            raise ValueError(f'no trainable parameter begins with {self.name!r}; there are {", ".join(parts)}')
        if self.epochs >= runner.max_epochs:
            runner.logger.warning(
                f'FreezeHook freezes {self.name!r} for {self.epochs} epochs, and the run has {runner.max_epochs}: '
                'these parameters will not change'
            )

        values: list[Tensor] = []

        def before_step(*args: Any) -> None:
            if runner.epoch >= self.epochs:
                return
            if self.moments:
                values.extend(parameter.detach().clone() for parameter in frozen)
                return
            for parameter in frozen:
                parameter.grad = None

        def after_step(*args: Any) -> None:
            for parameter, value in zip(frozen, values):
                parameter.data.copy_(value)
            values.clear()

        optimizer = runner.optim_wrapper.optimizer
        self.handles = [optimizer.register_step_pre_hook(before_step), optimizer.register_step_post_hook(after_step)]

    def after_train(self, runner: Runner) -> None:
        """Removes the hooks of the optimizer."""
        for handle in self.handles:
            handle.remove()

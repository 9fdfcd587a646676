"""Freezes parameters for the first epochs."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Freezes some parameters for the first epochs, as DINO and SwAV do with their prototypes.

    The gradients are computed, because DistributedDataParallel expects them, and are set to None before each optimizer
    step. So the optimizer applies neither update nor weight decay, and creates its state after the frozen epochs.

    Args:
        name: First part of the parameters' names, such as ``'neck.last_layer'``.
        epochs: Number of frozen epochs.

    Raises:
        ValueError: No trainable parameter has a name that begins with ``name``.
    """

    def __init__(self, name: str, epochs: int = 1) -> None:
        self.name = name
        self.epochs = epochs

    def before_train(self, runner: Runner) -> None:
        """Registers the optimizer hook that drops the gradients."""
        named = [(name.removeprefix('module.'), p) for name, p in runner.model.named_parameters() if p.requires_grad]
        frozen = [p for name, p in named if name.startswith(self.name)]
        if not frozen:
            parts = sorted({name.rsplit('.', 1)[0] for name, _ in named})
            raise ValueError(f'no trainable parameter begins with {self.name!r}; there are {", ".join(parts)}')

        def drop_gradients(*args: Any) -> None:
            if runner.epoch < self.epochs:
                for parameter in frozen:
                    parameter.grad = None

        self.handle = runner.optim_wrapper.optimizer.register_step_pre_hook(drop_gradients)

    def after_train(self, runner: Runner) -> None:
        """Removes the optimizer hook."""
        self.handle.remove()

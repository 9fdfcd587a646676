"""Keeping parameters for the first epochs."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.registry import HOOKS


@HOOKS.register_module()
class FreezeHook(Hook):
    """Keeps the parameters below a name for the first epochs, as DINO and SwAV do with their prototypes.

    Their gradients are computed, as distributed training expects, and dropped before the step: the optimizer neither
    moves nor decays them, and its state of them begins later.

    Args:
        name: Beginning of the names, such as ``'neck.last_layer'``.
        epochs: Number of epochs.

    Raises:
        ValueError: No parameter that trains has such a name.
    """

    def __init__(self, name: str, epochs: int = 1) -> None:
        self.name = name
        self.epochs = epochs

    def before_train(self, runner: Runner) -> None:
        """Begins to watch the optimizer."""
        named = [(name.removeprefix('module.'), p) for name, p in runner.model.named_parameters() if p.requires_grad]
        frozen = [p for name, p in named if name.startswith(self.name)]
        if not frozen:
            parts = sorted({name.rsplit('.', 1)[0] for name, _ in named})
            raise ValueError(f'no parameter that trains begins with {self.name!r}; there are {", ".join(parts)}')

        def drop_gradients(*args: Any) -> None:
            if runner.epoch < self.epochs:
                for parameter in frozen:
                    parameter.grad = None

        self.handle = runner.optim_wrapper.optimizer.register_step_pre_hook(drop_gradients)

    def after_train(self, runner: Runner) -> None:
        """Lets go of the optimizer."""
        self.handle.remove()

"""The hook that lets an algorithm change its state, such as a teacher, around optimizer steps."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from mmssl.distributed.collectives import max_over_processes
from mmssl.distributed.shards import local_shards
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError

_STEPS_WATCHED = 2


@HOOKS.register_module()
class AlgorithmHook(Hook):
    """Calls ``on_train_start()``, ``on_step_start()`` and ``on_step_end(progress)`` of the algorithm.

    ``on_train_start`` is called once per run, not on resume. ``on_step_start`` is called right before each optimizer
    step, when the gradients are complete and clipped. ``on_step_end`` is called after each optimizer step: once per
    accumulated batch, and not after a step that float16 loss scaling skips. ``progress`` is the position in the run, in
    (0, 1]; skipped steps count too.
    """

    priority = 'ABOVE_NORMAL'

    def before_train(self, runner: Runner) -> None:
        """Calls ``on_train_start`` and registers hooks on the optimizer."""
        self.algorithm = runner.algorithm
        self.accumulation = runner.optim_wrapper._accumulative_counts
        self.total_steps = -(-runner.max_iters // self.accumulation)
        self.stepped, self.steps_to_watch = False, _STEPS_WATCHED
        optimizer = runner.optim_wrapper.optimizer
        self.handles = [
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._note_step),
        ]
        reason = _coupling(self.algorithm)
        if self.accumulation > 1 and reason:
            runner.logger.warning(
                f'{type(self.algorithm).__name__} does not learn from {self.accumulation} accumulated batches as from '
                f'one large batch, because it compares the images of a batch: {reason}'
            )
        if runner.iter == 0 and hasattr(self.algorithm, 'on_train_start'):
            self.algorithm.on_train_start()

    def _before_step(self, optimizer: Optimizer, *args: Any) -> None:
        if hasattr(self.algorithm, 'on_step_start'):
            self.algorithm.on_step_start()
        if self.steps_to_watch:
            self._watch(optimizer)  # now, because an optimizer may change the gradients

    def _note_step(self, *args: Any) -> None:
        self.stepped = True

    @torch.no_grad()
    def _watch(self, optimizer: Optimizer) -> None:
        """Raises an error if all gradients are 0 in the first steps; later steps do not wait for the device."""
        gradients = [p.grad for group in optimizer.param_groups for p in group['params'] if p.grad is not None]
        found = any(bool(gradient.any()) for gradient in local_shards(gradients))
        if max_over_processes(torch.tensor(float(found), device=gradients[0].device)):
            self.steps_to_watch = 0
            return
        self.steps_to_watch -= 1
        if not self.steps_to_watch:
            raise UserError(
                f'the gradient of every parameter was exactly 0 in {_STEPS_WATCHED} steps, so nothing is learned. '
                'Check that the batch is large enough for the loss, that the masker hides patches, and that the '
                'weight of the loss is not 0'
            )

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Calls ``on_step_end`` if the optimizer made a step."""
        if not self.stepped:
            return
        self.stepped = False
        steps = -(-(runner.iter + 1) // self.accumulation)
        if hasattr(self.algorithm, 'on_step_end'):
            self.algorithm.on_step_end(steps / self.total_steps)

    def after_train(self, runner: Runner) -> None:
        """Removes the hooks from the optimizer."""
        for handle in self.handles:
            handle.remove()


def _coupling(algorithm: nn.Module) -> str | None:
    """Returns what couples the images of a batch: ``batch_coupled``, else batch norms in training; None if nothing."""
    reason: str | None = getattr(algorithm, 'batch_coupled', None)
    if reason not in (None, 'batch norm'):
        return reason
    norms = any(isinstance(module, _BatchNorm) and module.training for module in algorithm.modules())
    return 'batch norm' if norms else None

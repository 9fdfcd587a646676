"""Losses and learning rates for the logs, without stopping the device at every iteration."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmengine import hooks as mmengine_hooks
from mmengine.dist import all_reduce
from mmengine.hooks import LoggerHook
from mmengine.runner import Runner
from torch import Tensor

from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError

# MMEngine's history buffers copy themselves at each new value and would grow to a million of them.
_MAX_HISTORY = 10_000


class NonFiniteLossError(UserError):
    """A loss became NaN or infinite."""


@HOOKS.register_module()
class RuntimeInfoHook(mmengine_hooks.RuntimeInfoHook):
    """MMEngine's hook of that name, with the losses kept on the device until they are logged.

    Losses are read in one transfer per log interval and checked then; on a CPU, where reading costs nothing, at every
    iteration. A checkpoint is preceded by a check, over all processes, so none is written after a loss was NaN or
    infinite. Other hooks find new values in the message hub after iterations that log.
    """

    def before_train(self, runner: Runner) -> None:
        """Notes how often losses are to be read."""
        super().before_train(runner)
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        on_gpu = next(runner.model.parameters()).is_cuda
        self.check_interval = min([hook.interval for hook in loggers], default=50) if on_gpu else 1
        self.pending: list[tuple[int, dict[str, Tensor]]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Notes the iteration."""
        runner.message_hub.update_info('iter', runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Keeps the iteration's losses, and reads all that are kept where a log line may follow.

        Raises:
            NonFiniteLossError: A loss that was read is NaN or infinite.
        """
        terms = {key: value.detach() for key, value in (outputs or {}).items()}
        if getattr(runner.optim_wrapper, 'grad_norm', None) is not None:
            terms['grad_norm'] = runner.optim_wrapper.grad_norm
        self.pending.append((runner.iter, terms))
        if self.every_n_inner_iters(batch_idx, self.check_interval) or self.end_of_epoch(
            runner.train_dataloader, batch_idx
        ):
            self._stop_if(self._read(runner))

    def before_checkpoint(self, runner: Runner) -> None:
        """Checks, before a checkpoint is written, the losses that no process has read yet.

        Raises:
            NonFiniteLossError: A loss is NaN or infinite on some process.
        """
        message = self._read(runner)
        failed = torch.tensor(float(message is not None), device=next(runner.model.parameters()).device)
        all_reduce(failed)
        if failed and message is None:
            message = 'the loss of another process is not finite'
        self._stop_if(message)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Leaves the log history out of checkpoints; it stands in the log files."""
        hub = checkpoint['message_hub']
        hub['resumed_keys'] = dict.fromkeys(hub['runtime_info'], True)
        hub['log_scalars'] = {}

    def _read(self, runner: Runner) -> str | None:
        """Moves what is kept into the message hub; returns a message if it is not all finite."""
        hub, pending, self.pending = runner.message_hub, self.pending, []
        for name, lr in runner.optim_wrapper.get_lr().items():
            hub.update_scalar(f'train/{name}', lr[0])
        if not pending:
            return None
        values = iter(torch.stack([value.float() for _, terms in pending for value in terms.values()]).tolist())
        message = None
        for iteration, terms in pending:
            numbers = {key: next(values) for key in terms}
            for key, number in numbers.items():
                hub.update_scalar(f'train/{key}', number)
            # Of losses alone: loss scaling of float16 copes with an overflow in the gradient's norm.
            if message is None and not all(math.isfinite(v) for key, v in numbers.items() if 'loss' in key):
                message = self._message(runner, iteration, numbers)
        for buffer in hub.log_scalars.values():
            buffer.max_length = _MAX_HISTORY
        return message

    @staticmethod
    def _message(runner: Runner, iteration: int, numbers: dict[str, float]) -> str:
        terms = ', '.join(f'{key}={value:.4g}' for key, value in numbers.items())
        last = runner.message_hub.get_info('last_ckpt', 'none was written')
        return (
            f'the loss is not finite at iteration {iteration + 1} (epoch {runner.epoch + 1}): {terms}. '
            f'The run stops; last good checkpoint: {last}'
        )

    @staticmethod
    def _stop_if(message: str | None) -> None:
        if message is not None:
            raise NonFiniteLossError(message)

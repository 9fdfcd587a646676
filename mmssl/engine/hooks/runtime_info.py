"""Logs losses and learning rates without waiting for the device at every iteration."""

from __future__ import annotations

import math
from typing import Any

import torch
from mmengine import hooks as mmengine_hooks
from mmengine.dist import all_reduce
from mmengine.hooks import LoggerHook
from mmengine.runner import Runner
from torch import Tensor

from mmssl.distributed.collectives import world_size
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError

# MMEngine copies a history buffer at each new value and lets it grow to a million values.
_MAX_HISTORY = 10_000


class NonFiniteLossError(UserError):
    """A loss became NaN or infinite."""


@HOOKS.register_module()
class RuntimeInfoHook(mmengine_hooks.RuntimeInfoHook):
    """MMEngine's ``RuntimeInfoHook``, but losses stay on the device until they are logged.

    The log shows means over all processes. Once per log interval the losses are averaged with one collective, copied to
    the host with one transfer, and checked. On a CPU, where reading is free, each process checks its own losses at
    every iteration. Before a checkpoint is written, the losses of all processes are checked, so no checkpoint is
    written after a loss was NaN or infinite. Other hooks see new values in the message hub after iterations that log.
    """

    def before_train(self, runner: Runner) -> None:
        """Sets how often losses are read: at the shortest interval of the loggers, always in a single CPU process."""
        super().before_train(runner)
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self.on_gpu = next(runner.model.parameters()).is_cuda
        every = min([hook.interval for hook in loggers], default=50)
        self.check_interval = every if self.on_gpu or world_size() > 1 else 1
        self.pending: list[tuple[int, dict[str, Tensor]]] = []

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Writes the number of the iteration to the message hub."""
        runner.message_hub.update_info('iter', runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict[str, Tensor] | None = None
    ) -> None:
        """Stores the losses of the iteration, and reads all stored losses if a log line may follow.

        Raises:
            NonFiniteLossError: A loss that was read is NaN or infinite.
        """
        terms = {key: value.detach() for key, value in (outputs or {}).items()}
        if getattr(runner.optim_wrapper, 'grad_norm', None) is not None:
            terms['grad_norm'] = runner.optim_wrapper.grad_norm
        self.pending.append((runner.iter, terms))
        if not self.on_gpu and world_size() > 1:
            numbers = {key: float(value) for key, value in terms.items()}
            self._stop_if(self._message(runner, runner.iter, numbers) if _is_bad(numbers) else None)
        if self.every_n_inner_iters(batch_idx, self.check_interval) or self.end_of_epoch(
            runner.train_dataloader, batch_idx
        ):
            self._stop_if(self._read(runner))

    def after_train_epoch(self, runner: Runner) -> None:
        """Reads the remaining losses of the epoch.

        Raises:
            NonFiniteLossError: A loss is NaN or infinite.
        """
        self._stop_if(self._read(runner))

    def before_checkpoint(self, runner: Runner) -> None:
        """Checks all losses that were not read yet, before a checkpoint is written.

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
        """Removes the log history from the checkpoint, because the log files hold it."""
        hub = checkpoint['message_hub']
        hub['resumed_keys'] = dict.fromkeys(hub['runtime_info'], True)
        hub['log_scalars'] = {}

    def _read(self, runner: Runner) -> str | None:
        """Moves the stored losses into the message hub; returns a message if a loss is not finite, else None."""
        hub, pending, self.pending = runner.message_hub, self.pending, []
        if not pending:
            return None
        for name, lr in runner.optim_wrapper.get_lr().items():
            hub.update_scalar(f'train/{name}', lr[0])
        stacked = torch.stack([value.float() for _, terms in pending for value in terms.values()])
        if world_size() > 1:
            all_reduce(stacked, op='mean')  # all losses of all stored iterations in one call
        values, message = iter(stacked.tolist()), None
        for iteration, terms in pending:
            numbers = {key: next(values) for key in terms}
            for key, number in numbers.items():
                hub.update_scalar(f'train/{key}', number)
            if message is None and _is_bad(numbers):
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


def _is_bad(numbers: dict[str, float]) -> bool:
    """Returns True if a loss is not finite; the gradient norm may be, because float16 loss scaling handles that."""
    return not all(math.isfinite(value) for key, value in numbers.items() if 'loss' in key)

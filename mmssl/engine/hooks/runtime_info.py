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

from mmssl.distributed.collectives import world_size
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError

# MMEngine's history buffers copy themselves at each new value and would grow to a million of them.
_MAX_HISTORY = 10_000


class NonFiniteLossError(UserError):
    """A loss became NaN or infinite."""


@HOOKS.register_module()
class RuntimeInfoHook(mmengine_hooks.RuntimeInfoHook):
    """MMEngine's hook of that name, with the losses kept on the device until they are logged.

    What is logged is the mean over all processes. Losses are averaged in one collective and read in one transfer per
    log interval, and checked then; on a CPU, where reading costs nothing, a process checks its own at every iteration.
    A checkpoint is preceded by a check, over all processes, so none is written after a loss was NaN or infinite. Other
    hooks find new values in the message hub after iterations that log.
    """

    def before_train(self, runner: Runner) -> None:
        """Notes how often losses are to be read."""
        super().before_train(runner)
        loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
        self.on_gpu = next(runner.model.parameters()).is_cuda
        every = min([hook.interval for hook in loggers], default=50)
        self.check_interval = every if self.on_gpu or world_size() > 1 else 1
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
        if not self.on_gpu and world_size() > 1:
            numbers = {key: float(value) for key, value in terms.items()}
            self._stop_if(self._message(runner, runner.iter, numbers) if _is_bad(numbers) else None)
        if self.every_n_inner_iters(batch_idx, self.check_interval) or self.end_of_epoch(
            runner.train_dataloader, batch_idx
        ):
            self._stop_if(self._read(runner))

    def after_train_epoch(self, runner: Runner) -> None:
        """Reads what is left of an epoch that ended early.

        Raises:
            NonFiniteLossError: A loss is NaN or infinite.
        """
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
        if not pending:
            return None
        for name, lr in runner.optim_wrapper.get_lr().items():
            hub.update_scalar(f'train/{name}', lr[0])
        stacked = torch.stack([value.float() for _, terms in pending for value in terms.values()])
        if world_size() > 1:
            all_reduce(stacked, op='mean')  # of every term and iteration at once
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
    """Whether a loss is not finite; loss scaling of float16 copes with an overflow in the gradient's norm."""
    return not all(math.isfinite(value) for key, value in numbers.items() if 'loss' in key)

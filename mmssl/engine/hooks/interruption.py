"""Ends a run that the cluster interrupts with a checkpoint, so that it can go on at the same step."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from typing import Any

import torch
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.distributed.collectives import max_over_processes, world_size
from mmssl.engine.hooks.checkpoint import CheckpointHook
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError


class InterruptedRunError(UserError):
    """A run was ended from outside; its checkpoint was written."""


@HOOKS.register_module()
class InterruptionHook(Hook):
    """Writes a checkpoint and ends the run after SIGTERM, which clusters send before they take a machine away.

    The iteration at which the signal arrives is completed, and so is the optimizer step if gradients are accumulated.
    Before an evaluation and at the end of an epoch the next step is completed too, because what comes between would not
    be done by the resumed run. A run with another loop than mmssl's, which cannot be resumed within an epoch, ends
    without a checkpoint. All processes stop at the same iteration, whichever of them got the signal. Further signals
    have no effect. With ``MMSSL_REQUEUE=1`` in the environment the first process puts its Slurm job back into the
    queue.

    Args:
        interval: Number of iterations between two exchanges of the signal with the other processes; one process
            stops at once.

    Raises:
        ValueError: ``interval`` is not positive.
    """

    priority = 'LOWEST'  # all other hooks have finished the iteration

    def __init__(self, interval: int = 10) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}; to switch the hook off set it to None')
        self.interval = interval
        self.received = False

    def before_train(self, runner: Runner) -> None:
        """Installs the handler of the signal; in a thread other than the main one that is not possible.

        The former handler returns when the training ends, also by an error.
        """
        self.received = self.agreed = self.waited = False
        self.handler: Any = None
        if threading.current_thread() is threading.main_thread():
            self.process = os.getpid()
            self.handler = signal.signal(signal.SIGTERM, self._receive)
            runner.at_end_of_training.callback(self._restore)

    def _receive(self, *args: Any) -> None:
        if os.getpid() == self.process:
            self.received = True
        else:  # a worker that was forked from this process, such as those of mmdet's metrics, has to end at once
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Ends the run if a process has received the signal.

        Raises:
            InterruptedRunError: A process has received the signal.
        """
        done = runner.iter + 1
        accumulation = runner.optim_wrapper._accumulative_counts
        if done % accumulation or done >= runner.max_iters:
            return
        self.agreed = self.agreed or self._is_due(runner, done // accumulation)
        if not self.agreed:
            return
        loop: Any = runner.train_loop
        if not hasattr(loop, 'ends_a_part'):  # a loop of MMEngine or of a plugin, which cannot begin within an epoch
            if is_main_process():
                _requeue(runner)
            raise InterruptedRunError(
                f'SIGTERM ended the run after iteration {done}; {type(loop).__name__} cannot continue within an epoch, '
                'so --resume continues at the last checkpoint'
            )
        if not self.waited and loop.ends_a_part(done):
            self.waited = True  # one step, because every step of a run may end an epoch
            return
        name = f'iter_{done}.pth'
        hook = next((hook for hook in runner.hooks if isinstance(hook, CheckpointHook)), None)
        if hook is None:
            raise InterruptedRunError(f'SIGTERM ended the run after iteration {done}; it writes no checkpoints')
        hook.save_now(runner, name)
        if is_main_process():
            _requeue(runner)
        raise InterruptedRunError(f'SIGTERM ended the run after iteration {done}; --resume continues at {name}')

    def _is_due(self, runner: Runner, steps: int) -> bool:
        if world_size() == 1:
            return self.received
        if steps % self.interval:
            return False
        device = next(runner.model.parameters()).device
        return bool(max_over_processes(torch.tensor(float(self.received), device=device)))

    def _restore(self) -> None:
        if self.handler is not None:
            signal.signal(signal.SIGTERM, self.handler)
            self.handler = None


def _requeue(runner: Runner) -> None:
    job = os.environ.get('SLURM_JOB_ID')
    if job is None or os.environ.get('MMSSL_REQUEUE') != '1':
        return
    try:
        subprocess.run(['scontrol', 'requeue', job], check=True, capture_output=True, text=True)
        runner.logger.info(f'Slurm job {job} is in the queue again')
    except (OSError, subprocess.CalledProcessError) as error:
        reason = (getattr(error, 'stderr', None) or str(error)).strip()
        runner.logger.warning(f'Slurm job {job} could not be put into the queue again: {reason}')

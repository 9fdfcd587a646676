"""Finds a process whose weights have left those of the others."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.distributed.collectives import gather_constant, world_size
from mmssl.engine.sharding import is_sharded
from mmssl.registry import HOOKS
from mmssl.utils.errors import UserError

_ROUNDING = 1e-4


@HOOKS.register_module()
class SameWeightsHook(Hook):
    """Compares the norm of every parameter among the processes of DistributedDataParallel.

    They hold the same weights at all times. A faulty device, or code that lets a process go its own way, does not show
    in the loss of the others. Differences of up to 0.01 % are taken for rounding on different kinds of GPUs. Sharded
    weights are not compared, because each is held once.

    Args:
        interval: Number of iterations between two comparisons.

    Raises:
        ValueError: ``interval`` is not positive.
    """

    priority = 'VERY_LOW'

    def __init__(self, interval: int = 500) -> None:
        if interval < 1:
            raise ValueError(f'interval must be at least 1, got {interval}; to switch the hook off set it to None')
        self.interval = interval

    @torch.no_grad()
    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Compares the weights if it is due.

        Raises:
            UserError: A process has other weights than the first one.
        """
        if world_size() == 1 or (runner.iter + 1) % self.interval or is_sharded(runner.model):
            return
        named = dict(runner.model.named_parameters())
        norms = torch.stack([norm.double() for norm in torch._foreach_norm(list(named.values()))])
        everywhere = gather_constant(norms[None])  # (processes, parameters)
        differs = ~torch.isclose(everywhere, everywhere[0], rtol=_ROUNDING, atol=1e-12, equal_nan=True)
        if differs.any():
            process, parameter = differs.nonzero()[0].tolist()
            raise UserError(
                f'process {process} has other weights than process 0 after iteration {runner.iter + 1}, first in '
                f'{list(named)[parameter]}: its device may be faulty, or code changed weights on one process alone. '
                'Resume from a checkpoint before, without that device'
            )

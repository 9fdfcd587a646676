"""The training loop."""

from __future__ import annotations

import random
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.runner import EpochBasedTrainLoop

from mmssl.registry import LOOPS
from mmssl.utils.dist import rank


def seed_iteration(seed: int, iteration: int, rank: int) -> None:
    """Seeds Python, NumPy and torch from a run's seed, the iteration and the process.

    What an iteration draws (dropout, masks, permutations) then does not depend on the iterations before it, so an
    exact resume needs no stored generator state.
    """
    words = np.random.SeedSequence((seed, iteration, rank)).generate_state(2)
    random.seed(int(words[0]))
    np.random.seed(words[0])  # noqa: NPY002  # for code of others that draws from it
    # Not torch.manual_seed: it queues the seed, with a stack trace, for every kind of device that is not in use.
    torch_seed = int(words[0]) << 32 | int(words[1])
    torch.default_generator.manual_seed(torch_seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(torch_seed)


@LOOPS.register_module()
class PretrainTrainLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop that can begin within an epoch and seeds every iteration.

    The iteration alone says where a run is: a checkpoint of iteration i continues with batch ``i % epoch length``.
    """

    def run_epoch(self) -> None:
        """Runs the rest of the current epoch, all of it unless the run was resumed within."""
        runner, sampler = self.runner, self.dataloader.sampler
        start = self._iter - self._epoch * len(self.dataloader)
        runner.call_hook('before_train_epoch')
        runner.model.train()
        batches = self.dataloader
        if hasattr(sampler, 'set_start'):
            sampler.set_start(start * self.dataloader.batch_size)
        elif start:
            batches = islice(batches, start, None)
        for idx, data_batch in enumerate(batches, start):
            self.run_iter(idx, data_batch)
        runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Runs one iteration from its own random state."""
        seed_iteration(self.runner.seed, self._iter, rank())
        super().run_iter(idx, data_batch)

"""The training loop with exact resume."""

from __future__ import annotations

import random
import time
from bisect import bisect
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import IterTimerHook, LoggerHook
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.utils.data import DataLoader

from mmssl.datasets.sources import image_sources
from mmssl.distributed.collectives import rank, world_size
from mmssl.registry import LOOPS
from mmssl.utils.errors import UserError


def seed_iteration(seed: int, iteration: int, rank: int) -> None:
    """Seeds the global generators of Python, NumPy and torch with (seed, iteration, rank).

    The random draws of an iteration (dropout, masks, permutations) then do not depend on earlier iterations, so an
    exact resume needs no stored generator state.

    Args:
        seed: Seed of the run.
        iteration: Number of the iteration.
        rank: Rank of the process.
    """
    words = np.random.SeedSequence((seed, iteration, rank)).generate_state(2)
    random.seed(int(words[0]))
    np.random.seed(words[0])  # noqa: NPY002  # for libraries that draw from NumPy's global generator
    # torch.manual_seed would queue the seed, with a stack trace, for every kind of device that is not in use.
    torch_seed = int(words[0]) << 32 | int(words[1])
    torch.default_generator.manual_seed(torch_seed)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed(torch_seed)


@LOOPS.register_module()
class PretrainTrainLoop(EpochBasedTrainLoop):
    """MMEngine's epoch loop, but it can start and end within an epoch and seeds every iteration.

    The iteration determines the position in a run: a checkpoint of iteration i continues with batch
    ``i % epoch length`` of epoch ``i // epoch length``. A run of ``max_iters`` iterations also consists of epochs, the
    last of which may be incomplete, so it is seeded and resumed in the same way.

    Args:
        runner: Runner of the training.
        dataloader: Training dataloader, or its config.
        max_epochs: Length of the run in epochs.
        max_iters: Length of the run in iterations, instead of ``max_epochs``; ``val_interval`` (default 1000) and
            ``val_begin`` then count iterations.
        **options: Options of MMEngine's loop: ``val_begin``, ``val_interval`` and ``dynamic_intervals``.

    Raises:
        UserError: Not exactly one length is given, an epoch has no batch, or the sampler does not support resume.
    """

    def __init__(
        self,
        runner: Runner,
        dataloader: DataLoader | dict,
        max_epochs: int | None = None,
        max_iters: int | None = None,
        **options: Any,
    ) -> None:
        if (max_epochs is None) == (max_iters is None):
            raise UserError(
                'set the length of the run by either max_epochs or train_cfg.max_iters, '
                f'got max_epochs={max_epochs} and max_iters={max_iters}'
            )
        if max_iters is not None:
            options.setdefault('val_interval', 1000)
        super().__init__(runner, dataloader, max_epochs=max_epochs or 1, **options)
        check_batches(self.dataloader)
        self.counts_iterations = max_iters is not None
        if max_iters is not None:
            self._max_iters = max_iters
            self._max_epochs = -(-max_iters // len(self.dataloader))

    @property
    def length_in_epochs(self) -> float:
        """Length of the run in epochs, a fraction if the last epoch is incomplete."""
        return self._max_iters / len(self.dataloader)

    def run(self) -> nn.Module:
        """Trains to the end of the run, with validations in between."""
        # A run that ended within an epoch may be resumed with a new length.
        self._epoch = self._iter // len(self.dataloader)
        if not self.counts_iterations:
            return super().run()
        for hook in self.runner.hooks:
            if isinstance(hook, LoggerHook):
                hook.log_metric_by_epoch = False  # an epoch can have several validations
        self.runner.call_hook('before_train')
        while self._iter < self._max_iters and not self.stop_training:
            self.run_epoch()
        self.runner.call_hook('after_train')
        return self.runner.model

    def run_epoch(self) -> None:
        """Runs the current epoch, from the resumed iteration to the end of the epoch or of the run."""
        runner, sampler = self.runner, self.dataloader.sampler
        start = self._iter - self._epoch * len(self.dataloader)
        stop = min(len(self.dataloader), start + self._max_iters - self._iter)
        runner.call_hook('before_train_epoch')
        runner.model.train()
        batches: Any = self.dataloader
        if hasattr(sampler, 'set_start'):
            sampler.set_start(start * self.dataloader.batch_size)
        elif start:
            batches = islice(batches, start, None)
        for idx, data_batch in zip(range(start, stop), batches):
            self.run_iter(idx, data_batch)
            if self.stop_training and self.counts_iterations:
                break
        runner.call_hook('after_train_epoch')
        self._epoch += 1

    def run_iter(self, idx: int, data_batch: Any) -> None:
        """Seeds and runs one iteration; in a run that counts iterations also validates if it is due."""
        seed_iteration(self.runner.seed, self._iter, rank())
        super().run_iter(idx, data_batch)
        if self._is_followed_by_validation(self._iter):
            self.runner.val_loop.run()
            self.runner.model.train()
            for hook in self.runner.hooks:
                if isinstance(hook, IterTimerHook):
                    hook.t = time.time()  # else the validation would count as a wait for data

    def ends_a_part(self, done: int) -> bool:
        """Returns whether an epoch ends, or a validation follows, after ``done`` iterations."""
        return done % len(self.dataloader) == 0 or self._is_followed_by_validation(done)

    def _is_followed_by_validation(self, done: int) -> bool:
        """Returns whether a run that counts iterations validates after ``done`` of them."""
        if not self.counts_iterations or self.runner.val_loop is None or done < self.val_begin:
            return False
        self.val_interval = self.dynamic_intervals[bisect(self.dynamic_milestones, done + 1) - 1]
        return done % self.val_interval == 0 or done == self._max_iters


def check_batches(loader: DataLoader) -> None:
    """Checks that a training set fills a batch and that its sampler tells the dataset the epoch.

    Raises:
        UserError: There are fewer images than a batch, the sampler is infinite, or it does not pass the epoch to a
            dataset that draws augmented views.
    """
    dataset, sampler = loader.dataset, loader.sampler
    if len(loader) == 0:
        raise UserError(too_few_images(loader, loader.batch_size))
    name = type(sampler).__name__
    if isinstance(sampler, InfiniteSampler):
        raise UserError(
            f'train_dataloader.sampler: {name} has no epochs, so a run could not be resumed exactly; write dict(type='
            "'EpochSampler'), also for a run of train_cfg.max_iters iterations"
        )
    draws = any(getattr(source, 'views', None) for _, source in image_sources(dataset, ''))
    if draws and loader.batch_size is not None and not hasattr(sampler, 'set_start'):
        raise UserError(
            f'train_dataloader.sampler: {name} does not pass the epoch to the dataset, so every epoch would have the '
            "same crops and colours; write dict(type='EpochSampler')"
        )


def too_few_images(loader: DataLoader, batch_size: int | None) -> str:
    """Returns the message that a training set does not fill one batch of ``batch_size`` images on each process."""
    dataset: Any = loader.dataset
    sampler: Any = loader.sampler
    images, processes = len(sampler), world_size()
    where = '' if processes == 1 else f', {images} on each of {processes} processes,'
    return (
        f'the {len(dataset)} images of train_dataloader.dataset{where} do not fill one batch of {batch_size}, '
        'and drop_last=True drops incomplete batches: use more images or '
        f'train_dataloader.batch_size={max(images, 1)}'
    )

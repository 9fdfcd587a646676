"""Counting, reporting and, above 1 %, refusing unreadable images."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.registry import HOOKS

_MAX_SHARE = 0.01
_NUM_SHOWN = 5


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Reports at the end of each epoch how many images could not be read, with the first few paths.

    A run in which more than 1 % of the images is unreadable stops: at the end of the epoch, or as soon as more
    different images failed than 1 % of the process's share of the dataset.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}  # a set that remembers the order
        self._num_seen = 0

    def before_train_epoch(self, runner: Runner) -> None:
        self._names.clear()
        self._num_seen = 0

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None, outputs: dict | None = None
    ) -> None:
        """Counts what the batch met.

        Raises:
            ValueError: More than 1 % of this process's share of the dataset has turned out to be unreadable.
        """
        skipped = data_batch.get('skipped', ())
        self._names.update(dict.fromkeys(skipped))
        self._num_seen += len(data_batch['data_samples']['index'])
        if skipped:
            num_share = len(runner.train_dataloader.sampler)
            if len(self._names) > _MAX_SHARE * num_share:
                raise ValueError(self._message(len(self._names), num_share))

    def after_train_epoch(self, runner: Runner) -> None:
        """Reports the epoch.

        Raises:
            ValueError: More than 1 % of the images of the epoch, over all processes, is unreadable.
        """
        counts = torch.tensor([len(self._names), self._num_seen], dtype=torch.float64)
        all_reduce(counts)
        num_unreadable, num_seen = counts.int().tolist()
        if num_unreadable > _MAX_SHARE * num_seen:
            raise ValueError(self._message(num_unreadable, num_seen))
        if self._names or num_unreadable:
            runner.logger.warning(
                f'{num_unreadable} of {num_seen} images of this epoch are unreadable and were replaced by others: '
                f'{self._shown()}'
            )

    def _shown(self) -> str:
        return ', '.join(list(self._names)[:_NUM_SHOWN]) + (', ...' if len(self._names) > _NUM_SHOWN else '')

    def _message(self, num_unreadable: int, num_images: int) -> str:
        return (
            f'{num_unreadable} of {num_images} images are unreadable, more than 1 %: {self._shown()}. '
            'Replace or remove them; if all of them are on one disk, check that it is mounted and complete.'
        )

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

    A run stops as soon as more different images of an epoch failed than 1 % of a process's share of the dataset.
    """

    def __init__(self) -> None:
        self._names: dict[str, None] = {}  # a set that remembers the order

    def before_train_epoch(self, runner: Runner) -> None:
        self._names.clear()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None, outputs: dict | None = None
    ) -> None:
        """Counts what the batch met.

        Raises:
            ValueError: More than 1 % of this process's share of the dataset has turned out to be unreadable.
        """
        self._names.update(dict.fromkeys((data_batch or {}).get('skipped', ())))
        num_images = len(runner.train_dataloader.sampler)
        if len(self._names) > _MAX_SHARE * num_images:
            raise ValueError(
                f'{len(self._names)} of {num_images} images are unreadable, more than 1 %: {self._shown()}. Replace or '
                'remove them; if all of them are on one disk, check that it is mounted and complete.'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        counts = torch.tensor([len(self._names), len(runner.train_dataloader.sampler)])
        all_reduce(counts)
        num_unreadable, num_images = counts.tolist()
        if num_unreadable:
            runner.logger.warning(
                f'{num_unreadable} of {num_images} images are unreadable, others took their places in this epoch: '
                f'{self._shown() or "see the logs of the other processes"}'
            )

    def _shown(self) -> str:
        return ', '.join(list(self._names)[:_NUM_SHOWN]) + (', ...' if len(self._names) > _NUM_SHOWN else '')

"""Counts and reports unreadable images, and stops a run with too many of them."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.dist import all_reduce
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.registry import HOOKS

_NUM_SHOWN = 5


@HOOKS.register_module()
class UnreadableImagesHook(Hook):
    """Logs the first unreadable image of an epoch, and at the end of the epoch the number of them and the first names.

    A run stops as soon as the number of different unreadable images of an epoch exceeds ``max_share`` of the images of
    a process. One unreadable image is always allowed.

    Args:
        max_share: Largest share of unreadable images, in [0, 1].

    Raises:
        ValueError: ``max_share`` is outside its range.
    """

    def __init__(self, max_share: float = 0.01) -> None:
        if not 0 <= max_share <= 1:
            raise ValueError(f'max_share must be in [0, 1], got {max_share}')
        self.max_share = max_share
        self._names: dict[str, None] = {}  # used as an ordered set

    def before_train_epoch(self, runner: Runner) -> None:
        """Forgets the images of the epoch before."""
        self._names.clear()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict[str, Any] | None = None, outputs: dict | None = None
    ) -> None:
        """Counts the unreadable images of the batch, and logs the first one of the epoch.

        Raises:
            ValueError: More than ``max_share`` of the images of this process are unreadable.
        """
        skipped = (data_batch or {}).get('skipped', ())
        if skipped and not self._names:
            runner.logger.warning(f'unreadable image, replaced by another one: {skipped[0]}')
        self._names.update(dict.fromkeys(skipped))
        num_images = len(runner.train_dataloader.sampler)
        if len(self._names) > max(self.max_share * num_images, 1):
            raise ValueError(
                f'{len(self._names)} of {num_images} images are unreadable, more than {100 * self.max_share:g} %: '
                f'{self._shown()}. Replace or remove them; if all of them are on one disk, check that it is mounted '
                'and complete. To train without them set default_hooks.unreadable_images.max_share (0.05 means 5 %).'
            )

    def after_train_epoch(self, runner: Runner) -> None:
        """Logs the number of unreadable images of all processes, and the first names of this one."""
        counts = torch.tensor([len(self._names), len(runner.train_dataloader.sampler)])
        all_reduce(counts)
        num_unreadable, num_images = counts.tolist()
        if num_unreadable:
            runner.logger.warning(
                f'{num_unreadable} of {num_images} images are unreadable and were replaced by others in this epoch: '
                f'{self._shown() or "see the logs of the other processes"}'
            )

    def _shown(self) -> str:
        return '; '.join(list(self._names)[:_NUM_SHOWN]) + ('; ...' if len(self._names) > _NUM_SHOWN else '')

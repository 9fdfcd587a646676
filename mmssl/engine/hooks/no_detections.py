"""Warns if a detector finds no boxes in an evaluation, because mmdet then reports no AP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.distributed.collectives import sum_over_processes
from mmssl.registry import HOOKS


@HOOKS.register_module()
class NoDetectionsHook(Hook):
    """Counts the boxes of an evaluation, and warns with a remedy if there are none."""

    def before_val_epoch(self, runner: Runner) -> None:
        """Sets the counts to 0."""
        self.images = self.boxes = 0

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Sequence | None = None
    ) -> None:
        """Counts the boxes of a batch."""
        for sample in outputs or ():
            if 'pred_instances' in sample:
                self.images += 1
                self.boxes += len(sample.pred_instances)

    def after_val_epoch(self, runner: Runner, metrics: dict[str, float] | None = None) -> None:
        """Warns if there were images with predictions and none of them has a box."""
        counts = torch.tensor([self.images, self.boxes], device=get_device())
        images, boxes = sum_over_processes(counts).tolist()  # every process counts its share of the images
        if images and not boxes:
            runner.logger.warning(
                f'no box in any of {images:,} images reached the score threshold of the model, so there is no AP: '
                'train longer, or keep boxes of any score with --cfg-options model.test_cfg.rcnn.score_thr=0.0 '
                '(model.test_cfg.score_thr=0.0 for a one-stage detector)'
            )

    before_test_epoch = before_val_epoch
    after_test_iter = after_val_iter
    after_test_epoch = after_val_epoch

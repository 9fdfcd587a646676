"""A pre-training run that takes seconds: noise images and a small ResNet."""

from __future__ import annotations

import os
import signal
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.hooks import Hook

from mmssl.datasets.base import ImageDataset
from mmssl.engine.runner import PretrainRunner
from mmssl.registry import DATASETS, HOOKS

EMBEDDING = 16
_run_numbers = count()

_MLP = dict(type='MLPProjector', in_channels=64, hidden_channels=32, out_channels=EMBEDDING)
_PREDICTOR = dict(type='MLPProjector', in_channels=EMBEDDING, hidden_channels=32, out_channels=EMBEDDING)
METHODS = {
    'moco': dict(
        type='MoCo',
        teacher=dict(momentum=0.9, schedule='constant'),
        queue=dict(length=16, dim=EMBEDDING),
        norm_group_size=2,
        head=dict(type='QueueContrastLoss', temperature=0.2),
    ),
    'byol': dict(
        type='BYOL',
        teacher=dict(momentum=0.9),
        head=dict(type='LatentPredictHead', predictor=_PREDICTOR, loss=dict(type='CosineRegressionLoss')),
    ),
}


@DATASETS.register_module()
class NoiseImages(ImageDataset):
    """Images of uniform noise; image i is the same in every run.

    Args:
        num_images: Number of images.
        **kwargs: Arguments of ``ImageDataset``.
    """

    def __init__(self, num_images: int, **kwargs: Any) -> None:
        self.num_images = num_images
        super().__init__(**kwargs)

    def _num_images(self) -> int:
        return self.num_images

    def _load(self, row: int) -> np.ndarray:
        return np.random.default_rng(row).integers(0, 256, (40, 40, 3), dtype=np.uint8)


@DATASETS.register_module()
class LabelledNoise(NoiseImages):
    """Images of noise; the label of image i is i modulo 10."""

    def _label(self, row: int) -> int:
        return row % 10


@HOOKS.register_module()
class KillHook(Hook):
    """Kills the process with SIGKILL at the end of an iteration.

    Args:
        iteration: Number of iterations after which the process is killed.
    """

    priority = 'LOWEST'

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration

    def after_train_iter(self, runner: PretrainRunner, *args: Any, **kwargs: Any) -> None:
        if runner.iter + 1 == self.iteration:
            os.kill(os.getpid(), signal.SIGKILL)


def tiny_config(work_dir: Path | str, method: str = 'moco', **changes: Any) -> dict:
    """Returns a config of 3 epochs of 6 iterations with 4 images; ``changes`` replace its top-level keys."""
    cfg = dict(
        model=dict(
            backbone=dict(type='ResNet', depth=10, stem='small', width=0.125),
            neck=_MLP,
            data_preprocessor=dict(type='SelfSupDataPreprocessor'),
            **METHODS[method],
        ),
        max_epochs=3,
        train_dataloader=dict(
            dataset=dict(type='NoiseImages', num_images=26, views=[dict(type='AugmentedView', size=16)] * 2),
            sampler=dict(type='EpochSampler'),
            collate_fn=dict(type='collate_views'),
            batch_size=4,
            drop_last=True,
            num_workers=0,
        ),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1, momentum=0.9)),
        param_scheduler=dict(type='WarmupCosineLR', warmup_epochs=1),
        default_hooks=dict(
            logger=dict(type='LoggerHook', interval=3),
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4, max_keep_ckpts=2),
        ),
        log_processor=dict(type='PretrainLogProcessor', window_size=3),
        visualizer=dict(type='RunVisualizer', vis_backends=[dict(type='LocalVisBackend')]),
        work_dir=str(work_dir),
        default_scope='mmssl',
        randomness=dict(seed=3),
        log_level='WARNING',
    )
    return {**cfg, **changes}


def build_runner(cfg: dict) -> PretrainRunner:
    """Builds a runner with a new experiment name, so that runners of the same second do not share a logger."""
    return PretrainRunner.from_cfg(dict(cfg, experiment_name=f'tiny_{os.getpid()}_{next(_run_numbers)}'))


def train(cfg: dict) -> PretrainRunner:
    """Trains with ``cfg`` to the end and returns the runner."""
    runner = build_runner(cfg)
    runner.train()
    return runner

"""Batches of a folder of images as mmssl and other toolboxes read them, without workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Any

import torch
from mmengine.config import Config
from torch import Tensor
from torch.utils.data import DataLoader

from mmssl.engine.runner import PretrainRunner
from mmssl.utils.errors import UserError

# Returns the next batch of views on the device.
Load = Callable[[], Sequence[Tensor]]


def own_batches(cfg: Config, batch_size: int) -> Iterator[dict[str, Any]]:
    """Returns batches of the training data of a config, epoch after epoch, from the loader of a run.

    Raises:
        UserError: There are fewer images than a batch takes.
    """
    settings = dict(cfg.train_dataloader, batch_size=batch_size, num_workers=0)
    return _endless(PretrainRunner.build_dataloader(settings, seed=0))


def lightly_views(folder: str, specs: Sequence[dict], batch_size: int, device: torch.device) -> Load:
    """Returns a function that loads a batch with lightly's dataset and transforms.

    Args:
        folder: Folder of images.
        specs: Views of a recipe, configs of ``AugmentedView``.
        batch_size: Number of images.
        device: Device of the views.
    """
    from lightly.data import LightlyDataset
    from lightly.transforms import MAETransform
    from lightly.transforms.dino_transform import DINOViewTransform
    from lightly.transforms.multi_view_transform import MultiViewTransform

    transform: Any = MAETransform(input_size=specs[0]['size'], min_scale=specs[0].get('min_scale', 0.08))
    if len(specs) > 1:
        transforms = [
            DINOViewTransform(
                crop_size=spec['size'],
                crop_scale=(spec.get('min_scale', 0.08), spec.get('max_scale', 1.0)),
                hf_prob=spec.get('flip', 0.5),
                cj_prob=spec.get('jitter_prob', 0.8),
                cj_strength=1.0,
                **dict(zip(('cj_bright', 'cj_contrast', 'cj_sat', 'cj_hue'), spec['jitter'])),
                random_gray_scale=spec.get('grayscale', 0),
                gaussian_blur=spec.get('blur', 0),
                solarization_prob=spec.get('solarize', 0),
            )
            for spec in specs
        ]
        transform = MultiViewTransform(transforms)
    dataset = LightlyDataset(folder, transform=transform)
    batches = _endless(DataLoader(dataset, batch_size=batch_size, shuffle=True, drop_last=True))
    return lambda: [view.to(device) for view in next(batches)[0]]


def solo_views(folder: str, specs: Sequence[dict], batch_size: int, device: torch.device) -> Load:
    """Returns a function that loads a batch with solo-learn's dataset and transforms, see ``lightly_views``."""
    from omegaconf import OmegaConf
    from solo.data.pretrain_dataloader import (
        build_transform_pipeline,
        prepare_dataloader,
        prepare_datasets,
        prepare_n_crop_transform,
    )

    transforms = []
    for spec in specs:
        strengths = dict(zip(('brightness', 'contrast', 'saturation', 'hue'), spec['jitter']))
        settings = dict(
            crop_size=spec['size'],
            rrc=dict(
                enabled=True, crop_min_scale=spec.get('min_scale', 0.08), crop_max_scale=spec.get('max_scale', 1.0)
            ),
            color_jitter=dict(prob=spec.get('jitter_prob', 0.8), **strengths),
            grayscale=dict(prob=spec.get('grayscale', 0)),
            gaussian_blur=dict(prob=spec.get('blur', 0)),
            solarization=dict(prob=spec.get('solarize', 0)),
            equalization=dict(prob=0),
            horizontal_flip=dict(prob=spec.get('flip', 0.5)),
        )
        transforms.append(build_transform_pipeline('custom', OmegaConf.create(settings)))
    crops = prepare_n_crop_transform(transforms, [1] * len(transforms))
    dataset = prepare_datasets('custom', crops, train_data_path=folder, no_labels=True)
    batches = _endless(prepare_dataloader(dataset, batch_size, num_workers=0))
    return lambda: [view.to(device) for view in next(batches)[1]]


def _endless(loader: DataLoader) -> Iterator[Any]:
    if not len(loader):
        dataset: Any = loader.dataset
        raise UserError(f'{len(dataset)} images are fewer than a batch of {loader.batch_size}')
    return _forever(loader)


def _forever(loader: DataLoader) -> Iterator[Any]:
    for epoch in count():
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        yield from loader


# Package of a toolbox -> function that builds its loading.
LOADERS: dict[str, Callable[[str, Sequence[dict], int, torch.device], Load]] = dict(
    lightly=lightly_views, solo=solo_views
)

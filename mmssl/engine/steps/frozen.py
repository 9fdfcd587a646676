"""Frozen networks and dataloaders for steps."""

from __future__ import annotations

import time

import numpy as np
import torch
from mmengine.device import get_device
from torch.utils.data import DataLoader

from mmssl.converters.transfer import transfer_weights
from mmssl.engine.runner import PretrainRunner
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.registry import DATASETS, TRANSFORMS
from mmssl.utils.errors import UserError, user_message

_TIMED_IMAGES = 8
_NOISE_SIDE = 256  # pixels, before the transform


def frozen_network(
    backbone: dict, checkpoint: str | None, data_preprocessor: dict | None = None, allow_random: bool = False
) -> BaseAlgorithm:
    """Builds a backbone and its data preprocessor on the GPU or CPU, in evaluation mode and without gradients.

    Args:
        backbone: Config of any backbone.
        checkpoint: File of its weights, see ``transfer_weights``; None if the backbone loads weights itself, such as
            ``TimmBackbone`` with ``pretrained=True``.
        data_preprocessor: Config of the data preprocessor; None means ``SelfSupDataPreprocessor`` with the mean and
            standard deviation of ImageNet.
        allow_random: True accepts random weights.

    Raises:
        UserError: There are no weights, or they do not match the backbone.
    """
    if checkpoint is None and not backbone.get('pretrained') and not allow_random:
        raise UserError(f'{backbone["type"]} would have random weights: set checkpoint of this step')
    network = BaseAlgorithm(
        backbone=backbone,
        neck=dict(type='Identity'),
        head=dict(type='Identity'),
        data_preprocessor=data_preprocessor or dict(type='SelfSupDataPreprocessor'),
    )
    network.init_weights()
    if checkpoint is not None:
        transfer_weights(network, checkpoint)
    return network.to(get_device()).eval().requires_grad_(False)


def plain_loader(dataloader: dict, seed: int) -> DataLoader:
    """Builds a dataloader that yields every image once, in the order of the dataset."""
    defaults = dict(sampler=dict(type='EpochSampler', shuffle=False), collate_fn=dict(type='collate_views'))
    return PretrainRunner.build_dataloader(defaults | dict(dataloader), seed=seed)


def plain_transform(dataloader: dict) -> dict:
    """Returns the config of the ``transform`` of a dataloader's dataset.

    Raises:
        UserError: The dataset has no ``transform``.
    """
    transform = dict(dataloader.get('dataset') or {}).get('transform')
    if transform is None:
        raise UserError(
            "the dataset of a step needs a transform, such as dict(type='CenterCropView', size=224); got the "
            f'dataloader {dict(dataloader)}'
        )
    return transform


def dataset_or_problem(dataloader: dict, name: str) -> tuple[int | None, list[str]]:
    """Returns the number of images of a dataloader's dataset and no problems, or None and the problem.

    Args:
        dataloader: Config of the dataloader.
        name: Name of the dataloader, for the problem.
    """
    try:
        return len(DATASETS.build(dataloader['dataset'])), []
    except (FileNotFoundError, ValueError) as error:
        if (message := user_message(error)) is None:
            raise
        return None, [f'{name}: {message}']


@torch.no_grad()
def try_images(network: BaseAlgorithm, dataloader: dict) -> tuple[tuple[torch.Tensor, ...], float]:
    """Runs the backbone of a network on images of noise with the transform of a dataloader.

    Returns:
        The output of the backbone, and the seconds per image.

    Raises:
        UserError: The dataset has no ``transform``.
    """
    transform = TRANSFORMS.build(plain_transform(dataloader))
    shape = (_NOISE_SIDE, _NOISE_SIDE, getattr(network.data_preprocessor, 'num_bands', 3))
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    batch = dict(inputs=torch.stack([transform(noise)] * _TIMED_IMAGES))
    images = network.data_preprocessor(batch, False)['inputs'].to(next(network.parameters()))
    network.backbone(images)
    start = time.perf_counter()
    features = network.backbone(images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return features, (time.perf_counter() - start) / _TIMED_IMAGES

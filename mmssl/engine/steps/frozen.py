"""A network that only looks, and what steps feed it with."""

from __future__ import annotations

import time

import torch
from mmengine.device import get_device
from torch.utils.data import DataLoader

from mmssl.converters.transfer import transfer_weights
from mmssl.engine.runner import PretrainRunner
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError, user_message

_TIMED_IMAGES = 8


def frozen_network(
    backbone: dict, checkpoint: str | None, data_preprocessor: dict | None = None, allow_random: bool = False
) -> BaseAlgorithm:
    """Builds a backbone with its preprocessor on this machine's device, in evaluation mode and without gradient.

    Args:
        backbone: Config of any backbone.
        checkpoint: File of its weights, of any kind that ``transfer_weights`` reads; None where the backbone brings
            them itself, as ``TimmBackbone`` does with ``pretrained=True``.
        data_preprocessor: Config; None is ``SelfSupDataPreprocessor`` with the mean and deviation of ImageNet.
        allow_random: Whether random weights will do.

    Raises:
        UserError: There are no weights, or they do not fit.
    """
    if checkpoint is None and not backbone.get('pretrained') and not allow_random:
        raise UserError(f'{backbone["type"]} would have random weights: name its checkpoint')
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
    """Returns the config of the one plain view of a dataloader's dataset.

    Raises:
        UserError: There is none.
    """
    transform = dict(dataloader.get('dataset') or {}).get('transform')
    if transform is None:
        raise UserError(
            "the dataset of a step needs a transform, such as dict(type='CenterCropView', size=224); got the "
            f'dataloader {dict(dataloader)}'
        )
    return transform


def dataset_or_problem(dataloader: dict, name: str) -> tuple[int | None, list[str]]:
    """Returns the number of images of a dataloader's dataset, None and the reason where it cannot be built."""
    try:
        return len(DATASETS.build(dataloader['dataset'])), []
    except (FileNotFoundError, ValueError) as error:
        if (message := user_message(error)) is None:
            raise
        return None, [f'{name}: {message}']


@torch.no_grad()
def try_images(network: BaseAlgorithm, dataloader: dict) -> tuple[tuple[torch.Tensor, ...], float]:
    """Shows random images of the size of a dataloader's to the network.

    Returns:
        What the backbone returns, and the seconds per image.

    Raises:
        UserError: The dataset has no ``transform``.
    """
    size = plain_transform(dataloader)['size']
    images = torch.randn(_TIMED_IMAGES, 3, size, size, device=next(network.parameters()).device)
    network.backbone(images)
    start = time.perf_counter()
    features = network.backbone(images)
    if images.is_cuda:
        torch.cuda.synchronize()
    return features, (time.perf_counter() - start) / _TIMED_IMAGES

"""Configs of small parts for tests of algorithms."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.labelled import with_placeholder_labels
from mmssl.registry import ALGORITHMS

BACKBONE = dict(type='ResNet', depth=18, width=0.125, stem='small')
DIM = 16


def mlp(in_channels: int = DIM, out_channels: int = DIM, **options: Any) -> dict:
    """Returns the config of an ``MLPProjector`` with 24 hidden channels."""
    return dict(type='MLPProjector', in_channels=in_channels, hidden_channels=24, out_channels=out_channels, **options)


def predict(loss: str, **options: Any) -> dict:
    """Returns the config of a ``LatentPredictHead`` with the loss of type ``loss``."""
    return dict(type='LatentPredictHead', predictor=mlp(), loss=dict(type=loss, **options))


def build(method: str, **options: Any) -> BaseAlgorithm:
    """Builds an algorithm of small parts in float64; ``options`` are its further arguments."""
    options = dict(backbone=BACKBONE, neck=mlp(64)) | options
    return ALGORITHMS.build(dict(type=method, **options)).double().train()


def views(count: int = 2, images: int = 8, size: int = 8) -> list[Tensor]:
    """Returns ``count`` random views (images, 3, size, size), float64."""
    return list(torch.randn(count, images, 3, size, size, dtype=torch.float64))


def shared_crops(images: int) -> Tensor:
    """Returns crops (images, 2, 5) of two views that overlap in part; every second image is flipped in both."""
    crops = torch.tensor([[0.0, 0, 40, 40, 0], [3, 2, 36, 38, 0]]).repeat(images, 1, 1)
    crops[::2, 1, :2] += 9
    crops[1::2, :, 4] = 1
    return crops


def half_masks(images: int, size: int) -> Tensor:
    """Returns masks (images, 2, size, size) of two views: the left half is salient, and the upper one in the second."""
    masks = torch.zeros(images, 2, size, size, dtype=torch.uint8)
    masks[:, 0, :, : size // 2] = 1
    masks[:, 1, : size // 2] = 1
    return masks


def step_samples(model: BaseAlgorithm, images: int, size: int) -> dict[str, Any]:
    """Returns ``data_samples`` for a step of any method with ``images`` images whose first view has ``size`` pixels."""
    samples = dict(label=torch.arange(images), index=torch.arange(images), crops=shared_crops(images))
    samples['masks'] = half_masks(images, size)
    return with_placeholder_labels(model, samples, images)


def continues_after_loading(build: Callable[[], BaseAlgorithm], *batch: Any) -> bool:
    """Returns whether a run that is saved after two steps and loaded into a new algorithm has the same third step.

    Args:
        build: Function that builds the algorithm, also one with other weights.
        *batch: Arguments of ``loss``.
    """

    def step(algorithm: BaseAlgorithm, number: int) -> None:
        torch.manual_seed(number)
        optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.05)
        sum(algorithm.loss(*batch).values()).backward()
        optimizer.step()
        optimizer.zero_grad()
        algorithm.on_step_end(number / 3)

    whole = build()
    step(whole, 1)
    step(whole, 2)
    resumed = build()
    resumed.load_state_dict(deepcopy(whole.state_dict()))
    for algorithm in (whole, resumed):
        step(algorithm, 3)
    return all(torch.equal(x, whole.state_dict()[name]) for name, x in resumed.state_dict().items())


def masked(**options: Any) -> dict:
    """Returns the config of an MAE for images of 16 pixels with 4 x 4 patches; ``options`` replace its arguments."""
    arch = dict(embed_dim=24, depth=1, num_heads=2)
    return (
        dict(
            type='MAE',
            data_preprocessor=dict(type='SelfSupDataPreprocessor'),
            backbone=dict(type='VisionTransformer', arch=arch, img_size=16, patch_size=4, output='tokens'),
            masker=dict(type='UniformMasker', patch_size=4),
            neck=dict(
                type='MAEDecoder', in_channels=24, out_channels=48, grid_size=4, embed_dim=16, depth=1, num_heads=2
            ),
            target=dict(type='PixelTarget', patch_size=4),
            head=dict(type='MaskedMSELoss'),
        )
        | options
    )

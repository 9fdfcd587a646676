"""Draws what is salient in training images, crops around it, and where a network looks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import interpolate

from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.salient_images import SalientImages
from mmssl.datasets.transforms.center_crop_view import CenterCropView
from mmssl.evaluation.extract import evaluating
from mmssl.visualization.attention import overlay
from mmssl.visualization.image_grid import image_grid

_LABELS = ('image', 'salient', 'crop 1', 'its mask', 'crop 2', 'salient part', 'attention')


def saliency_figure(algorithm: Any, dataset: SalientImages, indices: Sequence[int], epoch: int = 0) -> Figure:
    """Draws one column per image: the image, its salient part, both crops with their masks, and the attention.

    The salient parts keep their colours; the rest is dark. The attention is where the network looks in the first crop
    to match it with the salient part of the second.

    Args:
        algorithm: Algorithm with ``attention(views) -> (N, h, w)``, such as CAST.
        dataset: Training dataset.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops and colours.
    """
    batch = collate_views([dataset[epoch, index] for index in indices])
    prepared = algorithm.data_preprocessor(batch, True)
    views, masks = prepared['inputs'], prepared['data_samples']['masks']
    with evaluating(algorithm), torch.enable_grad():
        attention = algorithm.attention([views[0], views[1] * masks[:, 1:]]).cpu()
    pictures = [algorithm.data_preprocessor.denormalize(view).cpu() for view in views]
    size = pictures[0].shape[-1]
    square = CenterCropView(size)
    found = batch['data_samples']['index'].tolist()
    images = torch.stack([square(dataset.load(index)) for index in found])
    whole = torch.stack([_square_mask(dataset.mask(index), size) for index in found])
    rows = [images, _darkened(images, whole)]
    for picture, mask in zip(pictures, masks.cpu().unbind(1)):
        rows += [picture, _darkened(picture, mask)]
    rows = [row.float() / 255 for row in rows] + [overlay(pictures[0], attention)]
    return image_grid(torch.stack(rows), [''] * len(indices), labels=_LABELS)


def _darkened(images: Tensor, masks: Tensor) -> Tensor:
    """Returns images (N, 3, H, W) at a quarter of the brightness where masks (N, H, W) are 0."""
    return torch.where(masks[:, None] > 0, images, images // 4)


def _square_mask(mask: Any, size: int) -> Tensor:
    """Returns a mask (H, W) as ``CenterCropView`` shows its image: (size, size), 0 or 1."""
    values = torch.as_tensor(mask, dtype=torch.float32)
    height, width = values.shape
    scale = size / min(height, width)
    resized = interpolate(values[None, None], (round(height * scale), round(width * scale)))[0, 0]
    top, left = ((side - size) // 2 for side in resized.shape)
    return resized[top : top + size, left : left + size]

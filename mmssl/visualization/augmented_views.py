"""Draws training images and their augmented views."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.collate_views import collate_views, stack_images
from mmssl.datasets.transforms.center_crop_view import CenterCropView
from mmssl.models.preprocessing.selfsup_data_preprocessor import SelfSupDataPreprocessor
from mmssl.visualization.image_grid import image_grid


def augmented_views(
    dataset: ImageDataset,
    preprocessor: SelfSupDataPreprocessor,
    indices: Sequence[int],
    epoch: int = 0,
    shown: Callable[[list[Tensor]], list[Tensor]] = list,
) -> Figure:
    """Draws one column per image: the central square of the image and below it its views as the network gets them.

    The views include the augmentation on the device. Their normalisation is undone, and views of different sizes are
    drawn at the size of the largest.

    Args:
        dataset: Training dataset, with ``views``.
        preprocessor: Data preprocessor of the model, which holds the augmentation on the device.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops and colours.
        shown: Function from the views to those that the network sees: ``shown_views`` of the algorithm.
    """
    batch = collate_views([dataset[epoch, index] for index in indices])
    views = [preprocessor.denormalize(view).cpu() for view in shown(preprocessor(batch, True)['inputs'])]
    size = max(view.shape[-1] for view in views)
    square = CenterCropView(size)
    images = stack_images([square(dataset.load(index)) for index in batch['data_samples']['index'].tolist()])
    rows = [preprocessor.picture(images)]
    rows += [F.interpolate(view, (size, size)) for view in views]
    labels = ['image', *(f'view {number}, {view.shape[-1]} px' for number, view in enumerate(views, 1))]
    return image_grid(torch.stack(rows), [''] * len(indices), labels=labels)

"""Training images and their views as the model gets them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.collate_views import collate_views
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
    """Draws images in columns: the image, cropped to a square, and below it its views after the device's part.

    The normalisation is undone; views of several sizes are shown at that of the largest.

    Args:
        dataset: A training set, with views.
        preprocessor: That of the model.
        indices: Of the images.
        epoch: Whose crops and colours are drawn.
        shown: Views -> what the network is shown of them, the ``shown_views`` of its algorithm.
    """
    batch = collate_views([dataset[epoch, index] for index in indices])
    views = [preprocessor.denormalize(view).cpu() for view in shown(preprocessor(batch, True)['inputs'])]
    size = max(view.shape[-1] for view in views)
    square = CenterCropView(size)
    rows = [torch.stack([square(dataset.load(index)) for index in batch['data_samples']['index'].tolist()])]
    rows += [F.interpolate(view, (size, size)) for view in views]
    labels = ['image', *(f'view {number}, {view.shape[-1]} px' for number, view in enumerate(views, 1))]
    return image_grid(torch.stack(rows), [''] * len(indices), labels=labels)

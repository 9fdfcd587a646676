"""Two views of an image side by side, and their places in the image."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.datasets.base import ImageDataset, crop_of
from mmssl.datasets.collate_views import collate_views
from mmssl.visualization.style import new_figure

_COLUMNS = 4
GAP = 0.15  # between the two views, in widths of a view


def drawn_crops(dataset: ImageDataset, indices: Sequence[int], epoch: int = 0) -> Tensor:
    """Returns the crops of the first two views of images, (N, 2, 5): left, top, width, height, flipped.

    They are those of the items, where another image takes the place of an unreadable one.

    Args:
        dataset: Training dataset whose views have a ``box`` and are ``flipped`` or not.
        indices: Indices of the images in the dataset.
        epoch: Epoch that selects the random crops.
    """
    rows: list[tuple[float, ...]] = []
    for index in indices:
        found = dataset[epoch, index]['data_samples']['index']
        rows += map(crop_of, dataset.draw_views(epoch, index, dataset.load(found).shape[:2], found)[:2])
    return torch.tensor(rows, dtype=torch.float32).view(len(indices), 2, 5)


def first_views(algorithm: Any, dataset: ImageDataset, indices: Sequence[int], epoch: int = 0) -> list[Tensor]:
    """Returns the first two views of images as the network gets them, (N, 3, S, S) each, normalised."""
    batch = collate_views([dataset[epoch, index] for index in indices])
    return algorithm.data_preprocessor(batch, True)['inputs'][:2]


def draw_pairs(views: Sequence[Tensor]) -> tuple[Figure, list[Axes]]:
    """Draws the two views of each image in one cell: the first from x = 0 to 1, the second from 1 + ``GAP``.

    Args:
        views: Two uint8 (N, 3, S, S).

    Returns:
        The figure and one axis per image, on which y runs from 0 (top) to 1.
    """
    number = len(views[0])
    columns = min(_COLUMNS, number)
    rows = -(-number // columns)
    figure = new_figure(3.0 * columns, 1.75 * rows)
    cells = list(figure.subplots(rows, columns, squeeze=False).flat)
    for cell in cells:
        cell.set_axis_off()
    for index, cell in enumerate(cells[:number]):
        for offset, view in zip((0.0, 1 + GAP), views):
            picture = view[index].cpu().permute(1, 2, 0).numpy()
            cell.imshow(picture, extent=(offset, offset + 1, 1, 0), interpolation='antialiased')
        cell.set(xlim=(-0.02, 2.02 + GAP), ylim=(1.02, -0.02))
    return figure, cells[:number]

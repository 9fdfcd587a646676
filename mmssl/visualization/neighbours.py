"""Draws query images with their nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.collate_views import stack_images
from mmssl.evaluation.extract import Features
from mmssl.evaluation.weighted_knn import nearest_neighbours
from mmssl.visualization.image_grid import image_grid
from mmssl.visualization.style import spread


def neighbour_sheet(
    queries: ImageDataset,
    bank: ImageDataset,
    features: Mapping[str, tuple[Features, Features]],
    num_queries: int = 8,
    k: int = 5,
    picture: Callable[[Tensor], Tensor] = Tensor.clone,
) -> Figure:
    """Draws one row per query image: the query, then its nearest images in the bank, the nearest first.

    The frame of a neighbour is green if it has the query's class and red if not. There is no frame if one of the two
    has no label.

    Args:
        queries: Dataset of the query images, with a ``transform``.
        bank: Dataset of the neighbours, with a ``transform`` that gives images of the same size.
        features: Title of a representation -> (features of the bank, features of the queries). All representations
            have the same queries.
        num_queries: Number of rows; the queries are spread evenly over those that have features.
        k: Number of neighbours per query and representation.
        picture: Function: images of the datasets (N, C, S, S) -> pixels (N, 3, S, S) uint8, the ``picture`` of the data
            preprocessor, for images with bands; the default returns RGB images unchanged.

    Raises:
        ValueError: A feature is not finite.
    """
    _, of_queries = next(iter(features.values()))
    chosen = spread(len(of_queries), num_queries)
    labels = of_queries.labels[chosen]
    images = [queries[int(index)]['inputs'] for index in of_queries.indices[chosen]]
    columns = [picture(stack_images(images))[:, None]]
    marks, titles, gaps = [torch.full((len(chosen), 1), -1)], ['query'], []
    for title, (of_bank, of_queries) in features.items():
        of_bank.check_finite('bank')
        of_queries.check_finite('queries')
        _, rows = nearest_neighbours(of_queries.vectors[chosen], of_bank.vectors, k)
        images = [bank[int(index)]['inputs'] for index in of_bank.indices[rows].flatten()]
        gaps.append(len(titles))
        titles += [title, *[''] * (rows.shape[1] - 1)]
        columns.append(picture(stack_images(images)).unflatten(0, rows.shape))
        same = (of_bank.labels[rows] == labels[:, None]).long()
        marks.append(same.where((labels[:, None] >= 0) & (of_bank.labels[rows] >= 0), -1))
    names = [queries.classes[label] if label >= 0 else '' for label in labels] if queries.classes else ()
    return image_grid(torch.cat(columns, 1), titles, labels=names, marks=torch.cat(marks, 1), gaps=gaps)

"""Draws query images with their nearest neighbours."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure

from mmssl.datasets.base import ImageDataset
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
) -> Figure:
    """Draws one row per query image: the query, then its nearest images in the bank, the nearest first.

    The frame of a neighbour is green if it has the query's class and red if not. Queries without a label get no frames.

    Args:
        queries: Dataset of the query images, with a ``transform``.
        bank: Dataset of the neighbours, with a ``transform`` that gives images of the same size.
        features: Title of a representation -> (features of the bank, features of the queries). All representations
            have the same queries.
        num_queries: Number of rows; the queries are spread evenly over those that have features.
        k: Number of neighbours per query and representation.
    """
    _, of_queries = next(iter(features.values()))
    chosen = spread(len(of_queries), num_queries)
    labels = of_queries.labels[chosen]
    columns = [torch.stack([queries[int(index)]['inputs'] for index in of_queries.indices[chosen]])[:, None]]
    marks, titles, gaps = [torch.full((len(chosen), 1), -1)], ['query'], []
    for title, (of_bank, of_queries) in features.items():
        _, rows = nearest_neighbours(of_queries.vectors[chosen], of_bank.vectors, k)
        images = [bank[int(index)]['inputs'] for index in of_bank.indices[rows].flatten()]
        gaps.append(len(titles))
        titles += [title, *[''] * (rows.shape[1] - 1)]
        columns.append(torch.stack(images).view(*rows.shape, *images[0].shape))
        same = (of_bank.labels[rows] == labels[:, None]).long()
        marks.append(torch.where(labels[:, None] >= 0, same, -1))
    names = [queries.classes[label] if label >= 0 else '' for label in labels] if queries.classes else ()
    return image_grid(torch.cat(columns, 1), titles, labels=names, marks=torch.cat(marks, 1), gaps=gaps)

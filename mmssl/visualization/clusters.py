"""Draws images of clusters and a histogram of the cluster sizes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.collate_views import stack_images
from mmssl.visualization.image_grid import image_grid
from mmssl.visualization.style import LINES, new_figure, spread, tidy


def choose_clusters(labels: np.ndarray, num_clusters: int) -> list[int]:
    """Returns up to ``num_clusters`` clusters that hold images, spread evenly from the largest to the smallest.

    Args:
        labels: (N,) int64, the cluster of each image; negative for images without a cluster.
        num_clusters: Largest number of clusters.
    """
    clusters, sizes = np.unique(labels[labels >= 0], return_counts=True)
    by_size = clusters[np.argsort(-sizes, kind='stable')]
    return [int(by_size[position]) for position in spread(len(by_size), num_clusters).tolist()]


def cluster_montage(
    dataset: ImageDataset,
    labels: np.ndarray,
    clusters: Sequence[int],
    num_images: int = 10,
    seed: int = 0,
    picture: Callable[[Tensor], Tensor] = Tensor.clone,
) -> Figure:
    """Draws one row of images per cluster, with the cluster's size beside it; rows of small clusters end with white.

    Args:
        dataset: Dataset with a ``transform``, so that all images have one size.
        labels: (N,) int64, the cluster of each image of the dataset.
        clusters: Clusters to draw.
        num_images: Number of images per row, drawn at random from the cluster.
        seed: Seed of the random draw.
        picture: Function: images of the dataset (N, C, S, S) -> pixels (N, 3, S, S) uint8, the ``picture`` of the data
            preprocessor, for images with bands; the default returns RGB images unchanged.
    """
    rng, rows, names = np.random.default_rng(seed), [], []
    for cluster in clusters:
        members = np.flatnonzero(labels == cluster)
        chosen = rng.permutation(members)[:num_images]
        images = list(picture(stack_images([dataset[int(index)]['inputs'] for index in chosen])))
        blank = torch.full_like(images[0], 255)
        rows.append(torch.stack([*images, *[blank] * (num_images - len(images))]))
        names.append(f'{cluster}: {len(members)}')
    return image_grid(torch.stack(rows), [''] * num_images, labels=names)


def size_histogram(sizes: np.ndarray) -> Figure:
    """Draws a histogram of cluster sizes.

    Args:
        sizes: (K,) int64, number of images of each cluster.
    """
    figure = new_figure(4.5, 2.9)
    axes = figure.subplots()
    axes.hist(sizes, bins=min(40, max(int(sizes.max()), 1)), color=LINES[0])
    axes.axvline(sizes.mean(), color=LINES[1], linewidth=1.2)
    empty = int((sizes == 0).sum())
    tidy(axes, f'{len(sizes)} clusters, {empty} empty', 'images of a cluster (line: mean)', 'clusters')
    return figure

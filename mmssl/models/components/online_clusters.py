"""Clusters of the training set that move while a network trains."""

from __future__ import annotations

import logging

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.checkpoints.adaptation import keep_rows_of_own_dataset
from mmssl.distributed.collectives import copy_first_process, gather_constant
from mmssl.models.layers.repeated_rows import first_of_equals
from mmssl.registry import COMPONENTS

_EPS = 1e-10  # added to lengths, as in the official code
_COUNT_EPS = 1e-5  # added to the sizes of clusters in their weights


@COMPONENTS.register_module()
class OnlineClusters(nn.Module):
    """A feature and a cluster for each image, and the centroids (ODC: Zhan et al., 2020, arXiv:2006.10645, section 3).

    Call ``stage`` with new features while the loss is computed, and ``commit`` after the optimizer step: the rows of
    the step's images move, and their clusters are chosen again. ``tidy`` recomputes the centroids and dissolves small
    clusters. All processes hold all rows and do the same.

    Args:
        num_clusters: Number K of clusters.
        dim: Width D of a feature.
        momentum: Weight of the old row, in [0, 1).
        min_cluster: Smallest number of images of a cluster.

    Raises:
        ValueError: ``momentum`` is outside its range.
    """

    features: Tensor
    labels: Tensor
    centroids: Tensor

    def __init__(self, num_clusters: int, dim: int, momentum: float = 0.5, min_cluster: int = 20) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}')
        self.momentum, self.min_cluster = momentum, min_cluster
        self.register_buffer('features', torch.zeros(0, dim))
        self.register_buffer('labels', torch.zeros(0, dtype=torch.int64))
        self.register_buffer('centroids', torch.zeros(num_clusters, dim))
        self._staged: list[tuple[Tensor, Tensor]] = []
        keep_rows_of_own_dataset(self, 'features', 'labels')

    def resize(self, num_images: int) -> None:
        """Replaces the rows with empty ones for ``num_images`` images; warns if they cannot fill all clusters."""
        if num_images < len(self.centroids) * self.min_cluster:
            print_log(
                f'{num_images} images cannot make {len(self.centroids)} clusters of at least {self.min_cluster}, so '
                'clusters are dissolved and filled again all the time: lower the number of clusters of '
                'model.head and labeller, or model.clusters.min_cluster',
                logger='current',
                level=logging.WARNING,
            )
        self.features = self.features.new_zeros(num_images, self.features.shape[1])
        self.labels = self.labels.new_zeros(num_images)

    @torch.no_grad()
    def start(self, labels: Tensor, centroids: Tensor) -> None:
        """Takes the clusters (L,) int64 and centroids (K, D) of k-means; rows start as the centroids of their clusters.

        The official code starts with the features of the images, which k-means has seen as well. Images without a
        label (-1), which could not be read, are spread over the clusters.
        """
        anywhere = torch.arange(len(labels), device=labels.device) % len(centroids)
        self.labels.copy_(torch.where(labels < 0, anywhere, labels))
        self.centroids.copy_(centroids)
        self.features.copy_(_unit(self.centroids[self.labels]))

    @torch.no_grad()
    def stage(self, features: Tensor, indices: Tensor) -> None:
        """Gathers the features (N, D) of all processes, of the images ``indices`` (N,), for the next ``commit``."""
        features = normalize(features.to(self.features.dtype), dim=1)
        self._staged.append((gather_constant(features), gather_constant(indices)))

    @torch.no_grad()
    def commit(self) -> None:
        """Moves the rows of the staged images, and chooses their clusters: the largest dot product.

        Without a size (see ``resize``) nothing happens.
        """
        for features, indices in self._staged if len(self.features) else ():
            rows = _unit(self.momentum * self.features[indices] + (1 - self.momentum) * features)
            labels = (rows @ self.centroids.T).argmax(dim=1)
            self.features.index_copy_(0, indices, first_of_equals(indices, rows))
            self.labels.index_copy_(0, indices, first_of_equals(indices, labels))
        self._staged.clear()

    def counts(self) -> Tensor:
        """Returns the number of images of each cluster, (K,) int64."""
        counts = torch.zeros(len(self.centroids), dtype=torch.int64, device=self.labels.device)
        return counts.scatter_add_(0, self.labels, torch.ones_like(self.labels))

    def members(self, indices: Tensor, places: Tensor) -> Tensor:
        """Returns an image of the same cluster for each image, (N,) int64; it may be the image itself.

        Args:
            indices: (N,) int64.
            places: (N,), in [0, 1): where the member stands in its cluster, whose images are in ascending order.
        """
        counts, own = self.counts(), self.labels[indices]
        position = torch.minimum((places * counts[own]).long(), counts[own] - 1)
        return self.labels.argsort(stable=True)[counts.cumsum(0)[own] - counts[own] + position]

    def weights(self) -> Tensor:
        """Returns weights of the clusters, proportional to 1 / sqrt(number of images), with the sum 1: (K,)."""
        weights = (self.counts().to(self.centroids.dtype) + _COUNT_EPS).rsqrt()
        return weights / weights.sum()

    @torch.no_grad()
    def update_centroids(self, clusters: Tensor | None = None) -> None:
        """Sets centroids to the means of their rows; those of empty clusters stay.

        Args:
            clusters: Numbers of the clusters to change; None changes all.
        """
        counts = self.counts()
        # Sort rows by cluster and reduce segments: index_add_ on a GPU adds in an order that differs between processes.
        ordered = self.features[self.labels.argsort(stable=True)]
        sums = torch.segment_reduce(ordered, 'sum', lengths=counts, axis=0)
        means = torch.where(counts[:, None] > 0, sums / counts.clamp_min(1)[:, None], self.centroids)
        if clusters is None:
            self.centroids.copy_(means)
        else:
            self.centroids[clusters] = means[clusters]

    @torch.no_grad()
    def empty_small_clusters(self) -> Tensor:
        """Moves the images of clusters below ``min_cluster`` to the best other clusters, and returns those emptied."""
        small = (self.counts() < self.min_cluster).nonzero()[:, 0]
        if not len(small) or len(small) == len(self.centroids):
            return small[:0]
        rows = torch.isin(self.labels, small).nonzero()[:, 0]
        scores = self.features[rows] @ self.centroids.T
        scores[:, small] = -torch.inf
        self.labels[rows] = scores.argmax(dim=1)
        return small

    @torch.no_grad()
    def tidy(self) -> None:
        """Recomputes the centroids, empties small clusters, and fills each with half of the largest cluster."""
        self.update_centroids()
        for empty in self.empty_small_clusters().tolist():
            largest = int(self.counts().argmax())
            rows = (self.labels == largest).nonzero()[:, 0]
            moved = _second_half(self.features[rows]).to(rows.device)
            copy_first_process([moved])  # 2-means rounds differently with other numbers of threads
            self.labels[rows[moved]] = empty
            self.update_centroids(torch.tensor([largest, empty], device=rows.device))


def _second_half(features: Tensor) -> Tensor:
    """Splits rows (R, D) by 2-means, equal rows by chance, and returns which are in the second part, (R,) bool."""
    from sklearn.cluster import KMeans  # imported here because it takes a second and most trainings do not need it

    rows = features.cpu().double().numpy()
    if (rows == rows[0]).all():
        return torch.from_numpy(np.random.default_rng(0).permutation(len(rows)) % 2 == 1)
    return torch.from_numpy(KMeans(n_clusters=2, random_state=0, n_init=1, max_iter=20).fit_predict(rows) == 1)


def _unit(rows: Tensor) -> Tensor:
    return rows / (rows.norm(dim=1, keepdim=True) + _EPS)

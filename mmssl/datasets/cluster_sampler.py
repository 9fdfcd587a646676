"""The sampler that draws all clusters equally often."""

from __future__ import annotations

import numpy as np

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ClusterSampler(EpochSampler):
    """Draws the same number of images from every cluster (DeepCluster, arXiv:1807.05520, section 3.3).

    Each of the M clusters that hold images gives ``size // M + 1`` images, where ``size`` is the number of images in an
    epoch. They are drawn without replacement if the cluster has more images, else with replacement. All draws are
    shuffled and cut to ``size``. The order depends only on seed, epoch and labels. Deviation from the official code:
    it looks up the drawn images in a dataset with a different order, so it draws clusters about in proportion to their
    size; this sampler follows the paper.

    Args:
        dataset: Training set, see ``EpochSampler``.
        reassign: Number of images per epoch as a multiple of the number of images in the dataset. The images get new
            labels before every epoch, so a smaller multiple means more frequent labelling.
        seed: Seed of the order, see ``EpochSampler``.

    Raises:
        ValueError: ``reassign`` is not positive and finite, or leaves no image.
    """

    def __init__(self, dataset: ImageDataset, reassign: float = 1.0, seed: int | None = None) -> None:
        if not 0 < reassign < float('inf'):
            raise ValueError(f'reassign must be positive and finite, got {reassign}')
        super().__init__(dataset, shuffle=True, drop_last=True, seed=seed)
        self.dataset_size = int(reassign * len(dataset))
        if len(self) == 0:
            raise ValueError(f'reassign={reassign} of {len(dataset)} images is no image for each process: raise it')
        self.members: list[np.ndarray] | None = None

    def set_labels(self, labels: np.ndarray) -> None:
        """Sets the clusters from which the next epochs draw.

        Args:
            labels: (N,) int64, the cluster of each image; images with a negative number are never drawn.

        Raises:
            ValueError: No image has a cluster.
        """
        order = np.argsort(labels, kind='stable')
        order = order[labels[order] >= 0]
        if not len(order):
            raise ValueError('no image has a cluster: there is nothing to train on')
        self.members = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)

    def _order(self) -> np.ndarray:
        if self.members is None:
            raise ValueError("ClusterSampler needs clusters: add dict(type='PseudoLabelsHook', ...) to custom_hooks")
        rng = np.random.default_rng((self.seed, self.epoch))
        share = self.dataset_size // len(self.members) + 1
        drawn = [rng.choice(rows, share, replace=len(rows) <= share) for rows in self.members]
        return rng.permutation(np.concatenate(drawn))[: self.dataset_size]

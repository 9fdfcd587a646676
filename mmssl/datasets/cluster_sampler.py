"""The order of the images in an epoch that shows every cluster equally often."""

from __future__ import annotations

import numpy as np

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class ClusterSampler(EpochSampler):
    """Draws as many images from one cluster as from another (DeepCluster, arXiv:1807.05520, section 3.3).

    With M clusters that hold images, every one gives ``size // M + 1`` images, drawn without replacement where it has
    more than that and with replacement where it has not; all are shuffled and cut to ``size``, the number of images in
    an epoch. The draw depends on seed, epoch and labels alone. The published code looks the drawn images up in a data
    set of another order, so that clusters come about as often as they are large; this sampler does what the paper says.

    Args:
        dataset: The training set, see ``EpochSampler``.
        reassign: Images of an epoch as a multiple of the images of the dataset; new labels are made every epoch.
        seed: Seed of the order, see ``EpochSampler``.

    Raises:
        ValueError: ``reassign`` is not positive.
    """

    def __init__(self, dataset: ImageDataset, reassign: float = 1.0, seed: int | None = None) -> None:
        if reassign <= 0:
            raise ValueError(f'reassign must be positive, got {reassign}')
        super().__init__(dataset, shuffle=True, drop_last=True, seed=seed)
        self.dataset_size = int(reassign * len(dataset))
        self.members: list[np.ndarray] | None = None

    def set_labels(self, labels: np.ndarray) -> None:
        """Takes the clusters (N,) int64 of the images, negative for images that are not shown.

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

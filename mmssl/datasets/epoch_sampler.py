"""The order of the images in an epoch, over processes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mmengine.dist import sync_random_seed
from torch.utils.data import Sampler

from mmssl.datasets.base import ImageDataset
from mmssl.distributed.collectives import rank, world_size
from mmssl.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class EpochSampler(Sampler):
    """Yields ``(epoch, index)``, a share of one global order that depends on (seed, epoch) alone.

    Process r of W takes every W-th index, starting at r: the global batch is then the same set of images however many
    processes share it. All processes get the same number of images: while training (``shuffle=True``) by dropping up
    to W - 1 images of the epoch, in evaluation by repeating up to W - 1 images, which carry an ``index`` seen before.

    Args:
        dataset: What is sampled; one without a seed of its own (``seed=None``) receives this one.
        shuffle: Draw a new order each epoch; otherwise images come in their stored order.
        drop_last: Drop instead of repeat where the number of images is not divisible; None means ``shuffle``.
        seed: Non-negative; the runner hands over the run's. None draws one that all processes share.
    """

    def __init__(
        self, dataset: ImageDataset, shuffle: bool = True, drop_last: bool | None = None, seed: int | None = None
    ) -> None:
        self.dataset_size = len(dataset)
        self.shuffle = shuffle
        self.drop_last = shuffle if drop_last is None else drop_last
        self.seed = sync_random_seed() if seed is None else seed
        if getattr(dataset, 'seed', 0) is None:
            dataset.seed = self.seed
        self.epoch = 0
        self.start = 0
        if len(self) == 0:
            raise ValueError(f'{self.dataset_size} images cannot be shared by {world_size()} processes')

    def __len__(self) -> int:
        """Number of images of a whole epoch on this process, also while an epoch is resumed in its middle."""
        complete, rest = divmod(self.dataset_size, world_size())
        return complete if self.drop_last or not rest else complete + 1

    def __iter__(self) -> Iterator[tuple[int, int]]:
        start, self.start = self.start, 0
        order = self._order()
        for position in range(start, len(self)):
            yield self.epoch, int(order[(position * world_size() + rank()) % self.dataset_size])

    def _order(self) -> np.ndarray | range:
        if not self.shuffle:
            return range(self.dataset_size)
        return np.random.default_rng((self.seed, self.epoch)).permutation(self.dataset_size)

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch of the next iteration; MMEngine's ``DistSamplerSeedHook`` calls this."""
        self.epoch = epoch

    def set_start(self, num_samples: int) -> None:
        """Lets the next iteration, and only that, leave out the first ``num_samples`` images of this process.

        Args:
            num_samples: Batches done in this epoch times the batch size of one process.
        """
        if not 0 <= num_samples <= len(self):
            raise ValueError(f'an epoch has {len(self)} images on this process, cannot start after {num_samples}')
        self.start = num_samples

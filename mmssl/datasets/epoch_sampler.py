"""The sampler that orders the images of an epoch and shares them among processes."""

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
    """Yields pairs ``(epoch, index)`` in a global order that depends only on (seed, epoch), shared among processes.

    Process r of W takes every W-th index, starting at r, so a global batch holds the same images for every number of
    processes. All processes get the same number of images: either up to W - 1 images of the epoch are dropped
    (training), or up to W - 1 images are repeated (evaluation).

    Args:
        dataset: Dataset to sample; if its ``seed`` is None, it is set to the seed of the sampler.
        shuffle: True draws a new order each epoch; False keeps the order of the dataset.
        drop_last: True drops, and False repeats, images if their number is not divisible by W; None means ``shuffle``.
        seed: Seed >= 0, by default set by the runner. None draws a seed that all processes share.

    Raises:
        ValueError: There are fewer images than processes, and ``drop_last`` would drop all.
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
        """Number of images of a whole epoch on this process, even if ``set_start`` skips some of them."""
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
        """Skips the first ``num_samples`` images of this process in the next epoch only, to resume within an epoch.

        Args:
            num_samples: Number of finished batches of the epoch times the batch size of one process.

        Raises:
            ValueError: The epoch has fewer images.
        """
        if not 0 <= num_samples <= len(self):
            raise ValueError(f'an epoch has {len(self)} images on this process, cannot start after {num_samples}')
        self.start = num_samples

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

    With a window the order is almost sequential, for disks and remote storage that read consecutive images faster. The
    dataset is cut into runs of consecutive images, at other places in each epoch, and the runs are shuffled. The images
    of ``window`` successive runs are shuffled together. No array of all images is made, so an epoch of any length
    begins at once. The order is global and a resume is exact as without a window.

    Args:
        dataset: Dataset to sample; if its ``seed`` is None, it is set to the seed of the sampler.
        shuffle: True draws a new order each epoch; False keeps the order of the dataset.
        drop_last: True drops, and False repeats, images if their number is not divisible by W; None means ``shuffle``.
        seed: Seed >= 0, by default set by the runner. None draws a seed that all processes share.
        window: Number of runs whose images are shuffled together, such as 64; None shuffles all images.
        run_length: Number of consecutive images in a run.

    Raises:
        ValueError: There are fewer images than processes, and ``drop_last`` would drop all; or ``window`` is given
            without ``shuffle``, or not positive.
    """

    def __init__(
        self,
        dataset: ImageDataset,
        shuffle: bool = True,
        drop_last: bool | None = None,
        seed: int | None = None,
        window: int | None = None,
        run_length: int = 1024,
    ) -> None:
        if window is not None and not (shuffle and window >= 1 and run_length >= 1):
            raise ValueError(
                f'window and run_length must be at least 1, and need shuffle=True, got {window}, {run_length} and '
                f'shuffle={shuffle}'
            )
        self.window = window
        self.run_length = run_length
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

    def _order(self) -> np.ndarray | range | WindowedOrder:
        if not self.shuffle:
            return range(self.dataset_size)
        if self.window is not None:
            return WindowedOrder(self.dataset_size, self.window, self.run_length, (self.seed, self.epoch))
        order = np.arange(self.dataset_size, dtype=np.int32 if self.dataset_size < 2**31 else np.int64)
        np.random.default_rng((self.seed, self.epoch)).shuffle(order)
        return order

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


class WindowedOrder:
    """The order of an epoch with a window, see ``EpochSampler``: position -> index of an image.

    Args:
        size: Number of images.
        window: Number of runs whose images are shuffled together.
        run_length: Number of consecutive images in a run.
        seed: Seed of the order.
    """

    def __init__(self, size: int, window: int, run_length: int, seed: tuple[int, int]) -> None:
        rng = np.random.default_rng(seed)
        cuts = np.arange(rng.integers(run_length), size, run_length)
        bounds = np.unique(np.concatenate([[0], cuts, [size]]))
        runs = rng.permutation(len(bounds) - 1)
        self._firsts, self._lasts = bounds[:-1][runs], bounds[1:][runs]
        self._starts = np.cumsum([0, *(self._lasts - self._firsts)])[::window]  # first position of each window
        self._window, self._seed = window, seed
        self._images: tuple[int, np.ndarray] = (-1, np.empty(0, np.int64))  # the last window, and its images

    def __getitem__(self, position: int) -> int:
        window = int(np.searchsorted(self._starts, position, side='right')) - 1
        if self._images[0] != window:
            runs = slice(window * self._window, (window + 1) * self._window)
            images = np.concatenate(list(map(np.arange, self._firsts[runs], self._lasts[runs])))
            np.random.default_rng((*self._seed, window, 1)).shuffle(images)
            self._images = window, images
        return int(self._images[1][position - self._starts[window]])

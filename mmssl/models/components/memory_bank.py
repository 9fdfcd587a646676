"""A bank with one averaged feature per image of the training set."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.checkpoints.adaptation import keep_rows_of_own_dataset
from mmssl.distributed.collectives import gather_constant
from mmssl.models.layers.indexed_noise import indexed_integers
from mmssl.models.layers.repeated_rows import first_of_equals


class MemoryBank(nn.Module):
    """One unit row per image, the moving average of its features (Wu et al., 2018, arXiv:1805.01978, section 3.1).

    Call ``stage`` with new features while the loss is computed, and ``commit`` after the optimizer step:
    ``row = normalise(momentum row + (1 - momentum) normalise(feature))``. Rows begin as random unit vectors. Every
    process holds the rows of all images, and a checkpoint restores them; those of another dataset, which has another
    number of images, are ignored.

    Args:
        length: Number L of images of the training set.
        dim: Width D of a feature.
        momentum: Weight of the old row, in [0, 1).

    Raises:
        ValueError: ``momentum`` is outside its range.
    """

    features: Tensor

    def __init__(self, length: int, dim: int, momentum: float = 0.5) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise ValueError(f'momentum must lie in [0, 1), got {momentum}')
        self.momentum = momentum
        self.register_buffer('features', normalize(torch.randn(length, dim), dim=1))
        self._staged: list[tuple[Tensor, Tensor]] = []
        keep_rows_of_own_dataset(self, 'features')

    @property
    def bank_length(self) -> int:
        """Number of rows, which is the number of images of the training set."""
        return len(self.features)

    def draw(self, indices: Tensor, number: int, seed: int | Tensor) -> Tensor:
        """Draws rows uniformly with replacement for each image; an image may draw its own row.

        The rows depend on the image and the seed, not on the process.

        Args:
            indices: (N,) int64, positions of the images in the training set.
            number: Number K of rows per image.
            seed: Seed of the draw.

        Returns:
            (N, K) int64.
        """
        return indexed_integers(indices, (number,), seed, len(self.features))

    @torch.no_grad()
    def stage(self, features: Tensor, indices: Tensor) -> None:
        """Gathers the features (N, D) of all processes, of the images ``indices`` (N,), for the next ``commit``.

        Raises:
            RuntimeError: An index is not below the length of the bank; on a GPU the next synchronisation raises it.
        """
        message = f'the training set has more images than the bank has rows, {len(self.features)}: set its length'
        torch._assert_async((indices < len(self.features)).all(), message)
        features = normalize(features.to(self.features.dtype), dim=1)
        self._staged.append((gather_constant(features), gather_constant(indices)))

    @torch.no_grad()
    def commit(self) -> None:
        """Moves the rows of the staged images."""
        for features, indices in self._staged:
            rows = self.momentum * self.features[indices] + (1 - self.momentum) * features
            self.features.index_copy_(0, indices, first_of_equals(indices, normalize(rows, dim=1)))
        self._staged.clear()

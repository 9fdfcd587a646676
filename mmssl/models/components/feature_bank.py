"""A bank of features, one per image of the training set."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.checkpoints.adaptation import keep_rows_of_own_dataset
from mmssl.distributed.collectives import gather_constant
from mmssl.models.layers.repeated_rows import first_of_equals


class FeatureBank(nn.Module):
    """One row per image of the training set: its latest feature since the bank was cleared.

    Call ``stage`` with new rows while the loss is computed, and ``commit`` after the optimizer step, which then writes
    them. Every process holds the rows of all processes, so the bank does not depend on their number. Rows from a
    checkpoint with another number of images are ignored.

    Args:
        dim: Width D of a row.
    """

    features: Tensor
    filled: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer('features', torch.zeros(0, dim))
        self.register_buffer('filled', torch.zeros(0, dtype=torch.bool))
        self._staged: list[tuple[Tensor, Tensor]] = []
        keep_rows_of_own_dataset(self, 'features', 'filled')

    def resize(self, num_images: int) -> None:
        """Replaces the bank with an empty one for ``num_images`` images."""
        self.features = self.features.new_zeros(num_images, self.dim)
        self.filled = self.filled.new_zeros(num_images)

    @torch.no_grad()
    def stage(self, features: Tensor, indices: Tensor) -> None:
        """Gathers the rows of all processes for the next ``commit``.

        Args:
            features: (N, D), new rows.
            indices: (N,) int64, positions of the images in the training set.
        """
        self._staged.append((gather_constant(features.to(self.features.dtype)), gather_constant(indices)))

    @torch.no_grad()
    def commit(self) -> None:
        """Writes the staged rows; a bank without a size (see ``resize``) stays empty."""
        for features, indices in self._staged:
            if len(self.features):
                self.features.index_copy_(0, indices, first_of_equals(indices, features))
                self.filled.index_fill_(0, indices, True)
        self._staged.clear()

    def clear(self) -> None:
        """Marks all rows as missing."""
        self.filled.zero_()

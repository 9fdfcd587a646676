"""Features of the training set that are kept while a network trains."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.distributed.collectives import gather_constant


class FeatureBank(nn.Module):
    """One row per image of the training set: what the network made of it since the bank was cleared.

    Rows wait until the optimizer step that they belong to has happened: ``stage`` them while the loss is computed,
    ``commit`` them afterwards. Every process holds the rows of all, so a bank does not depend on their number. Rows of
    another number of images are not loaded: the bank keeps its own.

    Args:
        dim: Width of a row D.
    """

    features: Tensor
    filled: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.dim = dim
        self.register_buffer('features', torch.zeros(0, dim))
        self.register_buffer('filled', torch.zeros(0, dtype=torch.bool))
        self._staged: list[tuple[Tensor, Tensor]] = []
        adapt_on_load(self, _keep_own_rows)

    def resize(self, num_images: int) -> None:
        """Makes room for N images; what was there is lost."""
        self.features = self.features.new_zeros(num_images, self.dim)
        self.filled = self.filled.new_zeros(num_images)

    @torch.no_grad()
    def stage(self, features: Tensor, indices: Tensor) -> None:
        """Gathers rows of all processes, to be committed later.

        Args:
            features: (N, D).
            indices: (N,) int64, positions of the images in the training set.
        """
        self._staged.append((gather_constant(features.to(self.features.dtype)), gather_constant(indices)))

    @torch.no_grad()
    def commit(self) -> None:
        """Writes what was staged; a bank that was given no size stays empty."""
        for features, indices in self._staged:
            if len(self.features):
                self.features.index_copy_(0, indices, features)
                self.filled.index_fill_(0, indices, True)
        self._staged.clear()

    def clear(self) -> None:
        """Marks all rows as missing."""
        self.filled.zero_()


def _keep_own_rows(bank: FeatureBank, state: dict[str, Tensor], prefix: str, *args: Any) -> None:
    """Replaces rows of another data set in what is loaded by those that the bank has."""
    own = {f'{prefix}features': bank.features, f'{prefix}filled': bank.filled}
    if any(name in state and state[name].shape != value.shape for name, value in own.items()):
        state.update(own)

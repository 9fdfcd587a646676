"""A first-in, first-out queue of features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.distributed.collectives import gather_constant


class FeatureQueue(nn.Module):
    """The last Q features of all processes (MoCo, arXiv:1911.05722, section 3.2).

    Call ``stage`` with new features while the loss is computed, and ``commit`` after the optimizer step, which then
    puts them into the queue. So features are never negatives of their own batch, and all batches of a gradient
    accumulation use the same queue. The initial features are random vectors of unit length.

    Args:
        length: Number of features Q, a multiple of the global batch size.
        dim: Width of a feature.
    """

    features: Tensor
    pointer: Tensor

    def __init__(self, length: int, dim: int) -> None:
        super().__init__()
        self.register_buffer('features', normalize(torch.randn(length, dim), dim=1))
        self.register_buffer('pointer', torch.zeros((), dtype=torch.long))
        self._staged: list[Tensor] = []

    @property
    def queue_length(self) -> int:
        """Number of features, which must be a multiple of the global batch size."""
        return len(self.features)

    @torch.no_grad()
    def stage(self, features: Tensor) -> None:
        """Gathers the features of all processes, in rank order, for the next ``commit``.

        Args:
            features: (N, D), which are scaled to unit length.

        Raises:
            ValueError: The length of the queue is not a multiple of the global batch size.
        """
        features = gather_constant(normalize(features.to(self.features.dtype), dim=1))  # (M, D)
        if len(self.features) % len(features):
            raise ValueError(
                f'the queue length must be a multiple of the global batch size {len(features)}, '
                f'got {len(self.features)}; {len(self.features) // len(features) * len(features) or len(features)} is'
            )
        self._staged.append(features)

    @torch.no_grad()
    def commit(self) -> None:
        """Overwrites the oldest features with the staged ones."""
        for features in self._staged:
            # The position stays on the device: reading it would synchronise host and device.
            positions = (self.pointer + torch.arange(len(features), device=features.device)) % len(self.features)
            self.features.index_copy_(0, positions, features)
            self.pointer.add_(len(features)).remainder_(len(self.features))
        self._staged.clear()

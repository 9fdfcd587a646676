"""First-in, first-out memory of features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.distributed.collectives import gather_constant


class FeatureQueue(nn.Module):
    """The last Q features of all processes (MoCo, arXiv:1911.05722, section 3.2).

    New features wait until the optimizer step that they belong to has happened: ``stage`` them while the loss is
    computed, ``commit`` them afterwards. So features of a batch are never negatives of the same batch, and gradient
    accumulation sees one queue per step. It begins with random directions.

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
        """Gathers the features of all processes, in rank order, to be committed later.

        Args:
            features: (N, D), of any length; rows of the queue have unit length.

        Raises:
            ValueError: The length of the queue is no multiple of the global batch.
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
        """Overwrites the oldest features with what was staged."""
        for features in self._staged:
            # the position stays on the device: reading it would make the host wait
            positions = (self.pointer + torch.arange(len(features), device=features.device)) % len(self.features)
            self.features.index_copy_(0, positions, features)
            self.pointer.add_(len(features)).remainder_(len(self.features))
        self._staged.clear()

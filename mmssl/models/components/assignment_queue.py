"""Embeddings of earlier batches that take part in the assignment of a small one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import gather_constant, rank, world_size


class AssignmentQueue(nn.Module):
    """The last Q embeddings of each of T views, of all processes, newest first (SwAV, arXiv:2006.09882, section 3.1).

    It fills from a position in the run on, and counts only once it is full. As ``FeatureQueue`` it takes what was
    staged when the optimizer step that it belongs to has happened.

    Args:
        length: Number of embeddings Q of a view, a multiple of the global batch size.
        dim: Width of an embedding.
        start: Share of the run after which it fills, in [0, 1]: 15 / 200 for epoch 15 of 200.
        num_views: Number of views T that are assigned.

    Raises:
        ValueError: ``start`` lies outside [0, 1].
    """

    features: Tensor
    count: Tensor

    def __init__(self, length: int, dim: int, start: float = 0.0, num_views: int = 2) -> None:
        super().__init__()
        if not 0 <= start <= 1:
            raise ValueError(f'start is a share of the run in [0, 1], got {start}')
        self.start = start
        self.register_buffer('features', torch.zeros(num_views, length, dim))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))
        self._staged: list[Tensor] = []

    @property
    def queue_length(self) -> int:
        """Number of embeddings of a view, which must be a multiple of the global batch size."""
        return self.features.shape[1]

    def share(self) -> tuple[Tensor, Tensor]:
        """Returns this process's share of the embeddings, (T, Q / processes, D), and what each of them counts.

        The second, (Q / processes,), is 1 where the queue is full and 0 before: it stays on the device.

        Raises:
            ValueError: The processes cannot share the queue equally.
        """
        if self.queue_length % world_size():
            raise ValueError(f'{world_size()} processes cannot share a queue of length {self.queue_length} equally')
        rows = self.features.chunk(world_size(), dim=1)[rank()]
        return rows, (self.count >= self.features.shape[1]).to(rows.dtype).expand(rows.shape[1])

    @torch.no_grad()
    def stage(self, embeddings: Tensor) -> None:
        """Gathers the embeddings (T, N, D) of all processes, to be committed later.

        Raises:
            ValueError: The length of the queue is no multiple of the global batch.
        """
        embeddings = gather_constant(embeddings.to(self.features.dtype).transpose(0, 1)).transpose(0, 1)  # (T, M, D)
        length, batch = self.features.shape[1], embeddings.shape[1]
        if length % batch:
            raise ValueError(
                f'the queue length must be a multiple of the global batch size {batch}, got {length}; '
                f'{length // batch * batch or batch} is'
            )
        self._staged.append(embeddings)

    @torch.no_grad()
    def commit(self, progress: float) -> None:
        """Puts what was staged in front of the queue and drops the oldest embeddings, once ``start`` is reached.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """
        if progress > self.start + 1e-9:  # progress counts the step that has just been done
            for embeddings in self._staged:
                kept = self.features[:, : self.features.shape[1] - embeddings.shape[1]]
                self.features.copy_(torch.cat([embeddings, kept], dim=1))
                self.count.add_(embeddings.shape[1])
        self._staged.clear()

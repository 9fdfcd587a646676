"""A queue of embeddings of earlier batches, which take part in the assignment of a small batch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import gather_constant, rank, world_size


class AssignmentQueue(nn.Module):
    """The last Q embeddings of all processes for each of T views, newest first (SwAV, arXiv:2006.09882, section 3.1).

    It starts to fill at a position of the run, and has weight 0 until it is full. Embeddings that are staged while the
    loss is computed enter the queue when ``commit`` is called after the optimizer step, as in ``FeatureQueue``.

    Args:
        length: Number of embeddings Q of a view, a multiple of the global batch size.
        dim: Width of an embedding.
        start: Share of the run after which the queue starts to fill, in [0, 1]: 15 / 200 for epoch 15 of 200.
        num_views: Number of views T that are assigned to prototypes.

    Raises:
        ValueError: ``start`` lies outside [0, 1].
    """

    features: Tensor
    count: Tensor

    def __init__(self, length: int, dim: int, start: float = 0.0, num_views: int = 2) -> None:
        super().__init__()
        if not 0 <= start <= 1:
            raise ValueError(f'start, a share of the run, must lie in [0, 1], got {start}')
        self.start = start
        self.register_buffer('features', torch.zeros(num_views, length, dim))
        self.register_buffer('count', torch.zeros((), dtype=torch.long))
        self._staged: list[Tensor] = []

    @property
    def queue_length(self) -> int:
        """Number of embeddings of a view, which must be a multiple of the global batch size."""
        return self.features.shape[1]

    def share(self) -> tuple[Tensor, Tensor]:
        """Returns this process's share of the embeddings and the weight of each.

        Returns:
            Embeddings (T, Q / processes, D), and weights (Q / processes,): 1 if the queue is full, else 0. No value is
            read from the device.

        Raises:
            ValueError: The number of processes does not divide Q.
        """
        if self.queue_length % world_size():
            raise ValueError(f'{world_size()} processes cannot share a queue of length {self.queue_length} equally')
        rows = self.features.chunk(world_size(), dim=1)[rank()]
        return rows, (self.count >= self.features.shape[1]).to(rows.dtype).expand(rows.shape[1])

    @torch.no_grad()
    def stage(self, embeddings: Tensor) -> None:
        """Gathers the embeddings (T, N, D) of all processes for the next ``commit``.

        Raises:
            ValueError: The length of the queue is not a multiple of the global batch size.
        """
        embeddings = gather_constant(embeddings.to(self.features.dtype).transpose(0, 1)).transpose(0, 1)  # (T, M, D)
        length, batch = self.features.shape[1], embeddings.shape[1]
        if length % batch:
            raise ValueError(
                f'the queue length must be a multiple of the global batch size {batch}, got {length}; '
                f'{length // batch * batch or batch} is'
            )
        self._staged.append(embeddings)

    def clear(self) -> None:
        """Empties the queue, which may hold embeddings of another run."""
        self.count.zero_()

    @torch.no_grad()
    def commit(self, progress: float) -> None:
        """Puts staged embeddings first in the queue and drops the oldest ones, if ``start`` is reached.

        Args:
            progress: Optimizer steps done / optimizer steps of the whole run, in (0, 1].
        """
        if progress > self.start + 1e-9:  # progress includes the step that has just ended
            for embeddings in self._staged:
                kept = self.features[:, : self.features.shape[1] - embeddings.shape[1]]
                self.features.copy_(torch.cat([embeddings, kept], dim=1))
                self.count.add_(embeddings.shape[1])
        self._staged.clear()

"""InfoNCE with a queue of earlier keys as negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def queue_contrast(queries: Tensor, keys: Tensor, queue: Tensor, temperature: float) -> Tensor:
    """InfoNCE of MoCo (He et al., 2020, arXiv:1911.05722, Eq. 1): one positive key, and a queue of negatives.

    Args:
        queries: (N, D), embeddings of one view; they need not be normalised.
        keys: (N, D), embeddings of the other view, in the same order of images.
        queue: (Q, D), keys of earlier batches, rows of unit length.
        temperature: Divisor of the cosine similarities, > 0.

    Returns:
        Scalar: mean (1 + Q)-way cross entropy over the queries of this process.
    """
    queries, keys = normalize(queries, dim=1), normalize(keys, dim=1)
    positives = (queries * keys).sum(dim=1, keepdim=True)  # (N, 1)
    negatives = queries @ queue.T  # (N, Q)
    first = torch.zeros(len(queries), dtype=torch.long, device=queries.device)
    return cross_entropy(torch.cat((positives, negatives), dim=1) / temperature, first)


@LOSSES.register_module()
class QueueContrastLoss(nn.Module):
    """MoCo's loss, see ``queue_contrast``.

    Args:
        temperature: Divisor of the cosine similarities; 0.07 in version 1 and 0.2 in version 2.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, queries: Tensor, keys: Tensor, queue: Tensor) -> Tensor:
        """Returns the loss, a scalar, for queries and keys (N, D) and a queue (Q, D) whose rows have unit length."""
        return queue_contrast(queries, keys, queue, self.temperature)

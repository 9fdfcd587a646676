"""InfoNCE with the keys of the global batch as negatives."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mmssl.distributed.collectives import gather, rank
from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def info_nce(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """InfoNCE of MoCo v3 (Chen et al., 2021, arXiv:2104.02057, Eq. 1 and Algorithm 1).

    For each query n the keys of all processes are the classes, and key n is the correct one. Logits are cosine
    similarities divided by the temperature. Queries are not compared with queries.

    Args:
        queries: (N, D), embeddings of one view; they need not be normalised.
        keys: (N, D), embeddings of the other view, in the same order of images.
        temperature: Divisor of the cosine similarities, > 0.

    Returns:
        Scalar: 2 * temperature * mean cross entropy over the queries. The factor makes the gradient nearly independent
        of the temperature.
    """
    queries, keys = normalize(queries, dim=1), gather(normalize(keys, dim=1))  # (N, D), (M, D)
    own = torch.arange(len(queries), device=queries.device) + len(queries) * rank()
    return 2 * temperature * cross_entropy(queries @ keys.T / temperature, own)


@LOSSES.register_module()
class InfoNCELoss(nn.Module):
    """MoCo v3's loss of one direction, see ``info_nce``.

    Args:
        temperature: Divisor of the cosine similarities; 1.0 with ResNet-50 and 0.2 with transformers in the official
            code.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.2) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Returns the loss, a scalar, of queries and keys (N, D)."""
        return info_nce(queries, keys, self.temperature)

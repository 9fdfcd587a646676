"""NNCLR's loss: the neighbour of one view against the predictions of the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, normalize

from mmssl.distributed.collectives import gather, rank
from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def neighbour_contrast(predictions: Tensor, neighbours: Tensor, temperature: float) -> Tensor:
    """InfoNCE of NNCLR (Dwibedi et al., 2021, arXiv:2104.14548, Eq. 3), one direction.

    ``-mean_n log softmax_m(neighbour_n . prediction_m / temperature)_n``, where m runs over the images of all
    processes. Neighbours get no gradient.

    Args:
        predictions: (N, D), predictions of the embeddings of one view; they need not be normalised.
        neighbours: (N, D), the nearest neighbours of the embeddings of the other view.
        temperature: Divisor of the cosine similarities, > 0.

    Returns:
        Scalar, mean over the images of this process.
    """
    anchors, candidates = normalize(neighbours.detach(), dim=1), gather(normalize(predictions, dim=1))  # (N, D), (M, D)
    own = torch.arange(len(anchors), device=anchors.device) + len(anchors) * rank()
    return cross_entropy(anchors @ candidates.T / temperature, own)


@LOSSES.register_module()
class NeighbourContrastLoss(nn.Module):
    """NNCLR's loss of one direction, see ``neighbour_contrast``.

    Args:
        temperature: Divisor of the cosine similarities.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, predictions: Tensor, neighbours: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and neighbours (N, D)."""
        return neighbour_contrast(predictions, neighbours, self.temperature)

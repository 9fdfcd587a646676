"""Alignment of partners and uniformity on the sphere."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pdist

from mmssl.distributed.collectives import gather
from mmssl.registry import LOSSES


def align_uniform(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Alignment and uniformity (Wang and Isola, 2020, arXiv:2005.10242, Section 4.1 with alpha = 2 and t = 2).

    Args:
        first: (N, D), embeddings of the first views; row n of both arguments is the same image.
        second: (N, D), embeddings of the second views.
        weight: Weight of the uniformity term; the alignment term has the weight 1.

    Returns:
        Scalar: mean squared distance of partners, plus ``weight`` times the log of the mean Gaussian potential over
        all pairs of images in the batch of all processes, averaged over the two views.
    """
    first, second = gather(torch.stack((normalize(first), normalize(second)), dim=1)).unbind(dim=1)  # (M, D) each
    alignment = (first - second).square().sum(dim=1).mean()
    uniformity = [pdist(views).square().mul(-2).exp().mean().log() for views in (first, second)]
    return alignment + weight * sum(uniformity) / 2


@LOSSES.register_module()
class AlignUniformLoss(nn.Module):
    """Fills the head slot of a two-view method, see ``align_uniform``.

    Args:
        weight: Weight of the uniformity term; the alignment term has the weight 1.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the loss, a scalar, of embeddings (N, D) of the two views."""
        return align_uniform(first, second, self.weight)

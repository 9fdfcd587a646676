"""Variance, invariance and covariance of embeddings."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss, relu

from mmssl.distributed.collectives import gather
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def variance_hinge(embeddings: Tensor) -> Tensor:
    """Mean amount by which standard deviations fall below 1 (Bardes et al., 2022, arXiv:2105.04906, Eq. 1 and 2).

    Args:
        embeddings: (M, D), embeddings of the global batch.

    Returns:
        Scalar in [0, 0.99]: ``mean_j max(0, 1 - sqrt(Var_j + 1e-4))`` with the unbiased variance.
    """
    return relu(1 - (embeddings.var(dim=0) + 1e-4).sqrt()).mean()


@in_full_precision
def covariance_penalty(embeddings: Tensor) -> Tensor:
    """Squared covariances between different dimensions (Bardes et al., 2022, arXiv:2105.04906, Eq. 3 and 4).

    Args:
        embeddings: (M, D), embeddings of the global batch, M > 1.

    Returns:
        Scalar: ``sum_{i != j} Cov_ij^2 / D`` with the unbiased covariance.
    """
    count, width = embeddings.shape
    centred = embeddings - embeddings.mean(dim=0)
    covariance = centred.T @ centred / (count - 1)  # (D, D)
    return covariance.fill_diagonal_(0).square().sum() / width  # in place: saves a second D x D matrix


@in_full_precision
def vicreg(first: Tensor, second: Tensor, invariance: float, variance: float, covariance: float) -> Tensor:
    """VICReg's loss (Bardes et al., 2022, arXiv:2105.04906, Eq. 6), with the official code's mean over the two hinges.

    The squared distance is computed on the images of this process, and its average over processes is the global one.
    Variance and covariance are computed on the global batch.

    Args:
        first: (N, D), embeddings of the first views, not normalised.
        second: (N, D), embeddings of the second views; row n of both arguments is the same image.
        invariance: Weight of the mean squared difference, over images and dimensions.
        variance: Weight of ``variance_hinge``, averaged over the two views.
        covariance: Weight of ``covariance_penalty``, summed over the two views.

    Returns:
        Scalar.
    """
    distance = mse_loss(first, second)
    views = gather(torch.stack((first, second), dim=1)).unbind(dim=1)  # (M, D) each
    hinge = sum(variance_hinge(view) for view in views) / 2
    penalty = sum(covariance_penalty(view) for view in views)
    return invariance * distance + variance * hinge + covariance * penalty


@LOSSES.register_module()
class VICRegLoss(nn.Module):
    """VICReg's loss, see ``vicreg``.

    Args:
        invariance: Weight of the squared distance of the two views.
        variance: Weight of the hinge on the standard deviations. The official code halves this term and the paper does
            not, so 50 gives the paper's formula with its weight 25.
        covariance: Weight of the squared covariances.
    """

    def __init__(self, invariance: float = 25.0, variance: float = 25.0, covariance: float = 1.0) -> None:
        super().__init__()
        self.weights = dict(invariance=invariance, variance=variance, covariance=covariance)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the loss, a scalar, for embeddings (N, D) of the two views."""
        return vicreg(first, second, **self.weights)

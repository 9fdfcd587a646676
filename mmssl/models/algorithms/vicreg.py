"""VICReg."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class VICReg(BaseAlgorithm):
    """VICReg: Variance-Invariance-Covariance Regularization (Bardes et al., 2022, arXiv:2105.04906).

    Algorithm 1. The neck is the paper's expander; no norm follows it. The logged scalar ``embedding_std`` is the mean
    standard deviation, which the variance term keeps near 1; it falls to 0 in a collapse. The official code divides
    covariances by its configured batch size - 1 and this code by the size of the batch - 1, which only differ in an
    incomplete batch.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    joint_views = 'auto'
    batch_coupled = 'variance and covariance of the batch'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss``, Eq. 6 for two views (N, 3, H, W), and ``embedding_std``, which is only logged."""
        z1, z2 = self.embed(views)  # (N, D), not normalised
        return dict(loss=self.head(z1, z2), embedding_std=z1.detach().float().std(dim=0).mean())

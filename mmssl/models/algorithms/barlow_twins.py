"""Barlow Twins."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class BarlowTwins(BaseAlgorithm):
    """Barlow Twins: Self-Supervised Learning via Redundancy Reduction (Zbontar et al., 2021, arXiv:2103.03230).

    Algorithm 1. The last layer of the neck (``last_norm='plain'``) is the norm of Algorithm 1, so its statistics are
    those of the global batch if norms are synchronised. The official code divides by its configured batch size and this
    code by the size of the batch, which only differ in an incomplete batch.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    joint_views = 'auto'
    batch_coupled = 'cross-correlation of the batch'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of Eq. 1 for two views (N, 3, H, W)."""
        z1, z2 = self.embed(views)  # (N, D), each dimension standardised over all images
        return dict(loss=self.head(z1, z2))

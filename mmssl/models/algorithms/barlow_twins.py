"""Barlow Twins."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class BarlowTwins(BaseAlgorithm):
    """Barlow Twins: Self-Supervised Learning via Redundancy Reduction (Zbontar et al., 2021, arXiv:2103.03230).

    Algorithm 1. The norm of the algorithm is the last layer of the neck (``last_norm='plain'``), so its statistics are
    those of the global batch wherever norms are synchronised. The official code divides by its configured batch size
    and this one by the size of the batch, which differ in an incomplete batch alone.
    """

    views = Views(2, any_size=True)
    batch_coupled = 'cross-correlation of the batch'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns Eq. 1 of two views (N, 3, H, W)."""
        z1, z2 = (self.neck(self.backbone(x)) for x in views)  # (N, D), each dimension standardised over all images
        return dict(loss=self.head(z1, z2))

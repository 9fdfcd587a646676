"""SimCLR."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class SimCLR(BaseAlgorithm):
    """A Simple Framework for Contrastive Learning of Visual Representations (Chen et al., 2020, arXiv:2002.05709).

    Algorithm 1. The network encodes both views as one batch of 2N images, so they share norm statistics, as in the
    official code; ``joint_views=False`` gives each view its own. The loss is the sum of both directions, as in the
    official code; ``reduction='mean'`` of the loss gives the paper's Eq. 1, half of this sum.
    """

    views = Views(2)
    needs_vectors = True
    joint_views = True
    batch_coupled = 'in-batch negatives'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the NT-Xent loss for two views (N, 3, H, W)."""
        z1, z2 = self.embed(views)  # (N, D) each
        return dict(loss=self.head(z1, z2))

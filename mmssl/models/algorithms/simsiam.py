"""SimSiam."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class SimSiam(BaseAlgorithm):
    """Exploring Simple Siamese Representation Learning (Chen and He, 2021, arXiv:2011.10566).

    Algorithm 1. The logged scalar ``output_std`` is the paper's measure of collapse (section 4.1): the standard
    deviation of the normalised embedding, about ``1 / sqrt(D)`` in a healthy run and 0 after a collapse.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    joint_views = 'auto'
    batch_coupled = 'batch norm'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns ``loss``, Eq. 2 for two views (N, 3, H, W), in [-1, 1], and ``output_std``, which is only logged."""
        z1, z2 = self.embed(views)  # (N, D)
        loss = (self.head(z1, z2.detach()) + self.head(z2, z1.detach())) / 2
        return dict(loss=loss, output_std=_output_std(z1))


@torch.no_grad()
def _output_std(embedding: Tensor) -> Tensor:
    return normalize(embedding.float(), dim=1).std(dim=0).mean()

"""NNCLR."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class NNCLR(BaseAlgorithm):
    """Nearest-neighbour contrastive learning of visual representations (Dwibedi et al., 2021, arXiv:2104.14548).

    Before the contrast each embedding is replaced by its nearest neighbour in a queue of earlier embeddings, the
    paper's support set, so positives are other images that look alike. The loss is half the sum of both directions. The
    queue gets the embeddings of the first view after the step. The predictor gets embeddings that are not normalised.

    Args:
        queue: Arguments of ``FeatureQueue``: ``length`` and ``dim``.
        **slots: Arguments of ``BaseAlgorithm``; the head is a ``LatentPredictHead`` with a ``NeighbourContrastLoss``.
    """

    views = Views(2)
    needs_vectors = True
    batch_coupled = 'in-batch negatives'

    def __init__(self, *, queue: dict, **slots: Any) -> None:
        super().__init__(**slots)
        self.queue = FeatureQueue(**queue)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the symmetric loss for two views (N, 3, H, W)."""
        z1, z2 = (self.neck(self.backbone(x)) for x in views)  # (N, D)
        near1, near2 = (nearest(z, self.queue.features) for z in (z1, z2))
        self.queue.stage(z1)
        return dict(loss=(self.head(z2, near1) + self.head(z1, near2)) / 2)

    def on_step_end(self, progress: float) -> None:
        """Puts the embeddings of the step into the queue."""
        self.queue.commit()


@torch.no_grad()
@in_full_precision
def nearest(embeddings: Tensor, support: Tensor) -> Tensor:
    """Returns the row of ``support`` (Q, D), unit rows, with the largest cosine similarity to each embedding (N, D)."""
    similarities = normalize(embeddings.to(support.dtype), dim=1) @ support.T
    return support[similarities.argmax(dim=1)]

"""SwAV."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.assignment_queue import AssignmentQueue
from mmssl.models.components.encode_views import encode_views
from mmssl.models.layers.sinkhorn import sinkhorn
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import ALGORITHMS

GLOBAL_VIEWS = 2
unit_length = in_full_precision(normalize)


@ALGORITHMS.register_module()
class SwAV(BaseAlgorithm):
    """Swapping assignments between views (Caron et al., 2020, arXiv:2006.09882, Algorithm 1).

    Every view predicts the codes of the two global views, which come first. Codes are assignments to prototypes,
    computed over the batch of all processes so that each prototype has about the same share. The official code freezes
    the prototypes during the first epoch; the recipes use ``FreezeHook`` for this. Differences from the official code,
    none of which changes a number:

    - prototypes are scaled to unit length before the first step and after each step, instead of before each step;
    - one queue holds the embeddings of all processes, instead of one queue per process.

    Args:
        epsilon: Weight of the entropy of the codes, see ``sinkhorn``.
        iterations: Number of iterations of ``sinkhorn``.
        queue: Arguments ``length`` and ``start`` of ``AssignmentQueue``, for batches that are smaller than the number
            of prototypes; with None codes are computed from the batch only.
        **slots: Arguments of ``BaseAlgorithm``; the head is a ``PrototypeHead``.

    Raises:
        ValueError: ``epsilon`` or ``iterations`` is outside its range.
    """

    views = Views(GLOBAL_VIEWS, local=True)
    batch_coupled = 'codes of the batch'

    def __init__(self, *, epsilon: float = 0.05, iterations: int = 3, queue: dict | None = None, **slots: Any) -> None:
        super().__init__(**slots)
        if epsilon <= 0 or iterations < 1:
            raise ValueError(f'SwAV needs epsilon > 0 and iterations >= 1, got {epsilon} and {iterations}')
        self.epsilon = epsilon
        self.iterations = iterations
        width = self.head.prototypes.in_features
        self.queue = None if queue is None else AssignmentQueue(**queue, dim=width, num_views=GLOBAL_VIEWS)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of Eq. 1 and 2 for V views (N, 3, H, W), the mean over 2 (V - 1) pairs."""
        embeddings = unit_length(self.neck(encode_views(self.backbone, views)), dim=1)  # (V * N, D)
        embeddings = embeddings.unflatten(0, (len(views), -1))
        scores = self.head.scores(embeddings)  # (V, N, C)
        return dict(loss=self.head(scores, self.codes(embeddings[:GLOBAL_VIEWS], scores[:GLOBAL_VIEWS])))

    @torch.no_grad()
    def codes(self, embeddings: Tensor, scores: Tensor) -> Tensor:
        """Returns the codes (2, N, C) of the global views, without gradient, and stages their embeddings.

        Args:
            embeddings: (2, N, D), embeddings of unit length.
            scores: (2, N, C), scores of the embeddings for the prototypes.
        """
        weights = None
        if self.queue is not None:
            earlier, weights = self.queue.share()  # (2, Q / processes, D)
            scores = torch.cat([scores, self.head.scores(earlier)], dim=1)
            weights = torch.cat([weights.new_ones(embeddings.shape[1]), weights])
            self.queue.stage(embeddings)
        return sinkhorn(scores, self.epsilon, self.iterations, weights)[:, : embeddings.shape[1]]

    def on_train_start(self) -> None:
        """Scales the prototypes to unit length, and empties the queue, which may come from another run."""
        self.head.normalize_prototypes()
        if self.queue is not None:
            self.queue.clear()

    def on_step_end(self, progress: float) -> None:
        """Scales the prototypes to unit length, and puts the embeddings of the step into the queue, if there is one."""
        self.head.normalize_prototypes()
        if self.queue is not None:
            self.queue.commit(progress)

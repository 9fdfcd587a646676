"""MoCo, versions 1 and 2."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MoCo(TeacherAlgorithm):
    """Momentum Contrast (He et al., 2020, arXiv:1911.05722; version 2: Chen et al., 2020, arXiv:2003.04297).

    Algorithm 1. The versions differ only in their configs: neck, temperature, augmentation, schedule. Student and
    teacher are the paper's query and key encoder. Differences from the official code, none of which changes a number:

    - the teacher is updated after a step instead of before the next keys are encoded;
    - the keys of a step are staged outside the state and enter the queue after the step;
    - one process is possible too: ``norm_group_size`` then forms the groups of images that several devices would have,
      for the keys only. The norm statistics of the queries are those of the batch of a process.

    Args:
        queue: Arguments of ``FeatureQueue``: ``length`` and ``dim``.
        norm_group_size: Number of keys that share norm statistics, see ``BatchShuffle``; None means all keys of a
            process.
        **slots: Arguments of ``TeacherAlgorithm``. The paper's teacher is ``dict(momentum=0.999,
            schedule='constant')``.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    batch_coupled = 'batch norm'

    def __init__(self, *, queue: dict, norm_group_size: int | None = None, **slots: Any) -> None:
        super().__init__(**slots)
        self.queue = FeatureQueue(**queue)
        self.shuffle = BatchShuffle(norm_group_size)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of Eq. 1 for two views (N, 3, H, W): queries from the first, keys from the second."""
        query_view, key_view = views
        queries = self.neck(self.backbone(query_view))  # (N, D)
        keys = self.shuffle(self.teacher, key_view)  # (N, D), no gradient
        self.queue.stage(keys)
        return dict(loss=self.head(queries, keys, self.queue.features))

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and puts the keys of the step into the queue."""
        super().on_step_end(progress)
        self.queue.commit()

"""MoCo v3."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.ema_teacher import EMATeacher
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MoCoV3(BaseAlgorithm):
    """An Empirical Study of Training Self-Supervised Vision Transformers (Chen et al., 2021, arXiv:2104.02057).

    Algorithm 1. Student and teacher are the paper's query and momentum encoder, ``head`` is the predictor with its
    loss. The teacher moves after a step instead of between the queries and the keys of the next one: the same
    sequence, with the momentum of the same progress.

    Args:
        teacher: Arguments of ``EMATeacher``; ``momentum`` is that of the first step.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(2, any_size=True)
    batch_coupled = 'in-batch negatives'

    def __init__(self, *, teacher: dict, **slots: Any) -> None:
        super().__init__(**slots)
        self.teacher = EMATeacher(**teacher, backbone=self.backbone, neck=self.neck)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns Eq. 1 of two views (N, 3, H, W), summed over both directions."""
        z1, z2 = (self.neck(self.backbone(x)) for x in views)  # (N, D), student
        k1, k2 = (self.teacher(x) for x in views)  # (N, D), no gradient
        return dict(loss=self.head(z1, k2) + self.head(z2, k1))

    def on_train_start(self) -> None:
        """Copies the student into the teacher."""
        self.teacher.copy_from(backbone=self.backbone, neck=self.neck)

    def on_step_end(self, progress: float) -> None:
        """Moves the teacher towards the student."""
        self.teacher.update(progress, backbone=self.backbone, neck=self.neck)

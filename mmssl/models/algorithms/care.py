"""CARE."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class CARE(TeacherAlgorithm):
    """CNN Attention REvitalization (Ge et al., 2021, arXiv:2110.05340).

    BYOL with two streams on one backbone: ``neck`` makes the C-stream of its output and the T-stream, which attends,
    of an inner map. Each stream of the student predicts the teacher's of the other view, and the C-stream follows the
    T-stream. The backbone alone is kept: the T-stream reaches it through the inner map's gradient and that supervision.

    The teacher averages backbone and neck, after a step instead of before the next forward: the same sequence, with
    the momentum of the same progress.

    Args:
        teacher: Arguments of ``EMATeacher``; ``momentum`` is that of the first step.
        **slots: Arguments of ``BaseAlgorithm``; the neck returns two embeddings (N, D).
    """

    views = Views(2, any_size=True)
    batch_coupled = 'batch norm'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the three terms of two views (N, 3, H, W), each summed over both directions."""
        z1, z2 = (self.neck(self.backbone(x)) for x in views)  # student: C-stream and T-stream, (N, D) each
        t2, t1 = (self.teacher(x) for x in reversed(views))  # teacher: the same, no gradient
        first, second = self.head(z1, t2), self.head(z2, t1)
        return {name: first[name] + second[name] for name in first}

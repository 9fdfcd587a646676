"""CARE."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class CARE(TeacherAlgorithm):
    """CNN Attention REvitalization (Ge et al., 2021, arXiv:2110.05340).

    BYOL with two streams on one backbone: ``neck`` computes the C-stream from the backbone's output and the T-stream,
    by attention, from an inner map. Each stream of the student predicts the same stream of the teacher for the other
    view, and the T-stream supervises the C-stream. Only the backbone is used afterwards; the T-stream trains it through
    the gradient of the inner map and through this supervision.

    The teacher averages backbone and neck. It is updated after a step, the official code's before the next forward
    pass, which gives the same sequence with the same momenta.

    Args:
        teacher: Arguments of ``EMATeacher``; ``momentum`` is the momentum at the first step.
        **slots: Arguments of ``BaseAlgorithm``; the neck returns two embeddings (N, D).
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    joint_views = 'auto'
    batch_coupled = 'batch norm'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the three terms for two views (N, 3, H, W), each summed over both directions."""
        z1, z2 = self.embed(views)  # student: C-stream and T-stream, (N, D) each
        t2, t1 = self.teacher.embed(views[::-1], self.joint_views)  # teacher: the same, no gradient
        first, second = self.head(z1, t2), self.head(z2, t1)
        return {name: first[name] + second[name] for name in first}

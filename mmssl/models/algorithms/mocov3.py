"""MoCo v3."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MoCoV3(TeacherAlgorithm):
    """An Empirical Study of Training Self-Supervised Vision Transformers (Chen et al., 2021, arXiv:2104.02057).

    Algorithm 1. Student and teacher are the paper's query and momentum encoder, ``head`` is the predictor with its
    loss. The teacher is updated after a step, the official one between the queries and the keys of the next step, which
    gives the same sequence with the same momenta.

    Args:
        teacher: Arguments of ``EMATeacher``; ``momentum`` is the momentum at the first step.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    joint_views = 'auto'
    batch_coupled = 'in-batch negatives'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of Eq. 1 for two views (N, 3, H, W), summed over both directions."""
        z1, z2 = self.embed(views)  # (N, D), student
        k1, k2 = self.teacher.embed(views, self.joint_views)  # (N, D), no gradient
        return dict(loss=self.head(z1, k2) + self.head(z2, k1))

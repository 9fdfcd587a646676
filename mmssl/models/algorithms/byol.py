"""BYOL."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class BYOL(TeacherAlgorithm):
    """Bootstrap Your Own Latent (Grill et al., 2020, arXiv:2006.07733).

    Student and teacher are the paper's online and target network, ``head`` is the predictor with its loss. Deviations
    from the official code:

    - the teacher is initialised as a copy of the student, not with other weights (the authors found no difference);
    - after step k of K, counted from 1, the momentum is computed from progress k / K; the official code uses (k - 1) /
      K, a difference of at most ``(1 - momentum) * pi / (2 K)``;
    - no classifier is trained alongside; the evaluation trains its own.

    Args:
        teacher: Arguments of ``EMATeacher``: ``momentum`` is the paper's tau at the first step.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    joint_views = 'auto'
    batch_coupled = 'batch norm'

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of Eq. 2 for two views (N, 3, H, W), summed over both directions."""
        z1, z2 = self.embed(views)  # (N, D), student
        t1, t2 = self.teacher.embed(views, self.joint_views)  # (N, D), no gradient
        return dict(loss=self.head(z1, t2) + self.head(z2, t1))

"""DINO."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.centered_softmax import CenteredSoftmax
from mmssl.models.components.encode_views import encode_views
from mmssl.registry import ALGORITHMS

GLOBAL_VIEWS = 2


@ALGORITHMS.register_module()
class DINO(TeacherAlgorithm):
    """Self-distillation with no labels (Caron et al., 2021, arXiv:2104.14294, Algorithm 1).

    The student sees all views, the teacher the two global views, which come first. The official code freezes the last
    layer during the first epoch; the recipes use ``FreezeHook`` for this. Deviations from the official code:

    - the temperature of the teacher rises at every step of the warm-up instead of once per epoch;
    - after step k of K, counted from 1, the momentum is computed from progress k / K; the official code uses (k - 1) /
      K, a difference of at most ``(1 - momentum) * pi / (2 K)``.

    Args:
        teacher: Arguments of ``EMATeacher``; without ``drop_path=True`` the teacher drops no paths.
        targets: Arguments of ``CenteredSoftmax`` without ``dim``, which is the ``out_channels`` of the neck.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(GLOBAL_VIEWS, local=True)

    def __init__(self, *, teacher: dict, targets: dict, **slots: Any) -> None:
        super().__init__(teacher=dict(drop_path=False) | teacher, **slots)
        self.targets = CenteredSoftmax(**targets, dim=self.neck.out_channels)
        self.batch_coupled = 'batch norm' if any(isinstance(m, _BatchNorm) for m in self.modules()) else None

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of Eq. 3 for V views (N, 3, H, W), the mean over 2 (V - 1) pairs."""
        teacher = self.teacher(torch.cat(views[:GLOBAL_VIEWS]))  # (2 * N, C), no gradient
        self.targets.stage(teacher)
        targets = self.targets(teacher).unflatten(0, (GLOBAL_VIEWS, -1))  # (2, N, C)
        student = self.neck(encode_views(self.backbone, views))  # (V * N, C)
        return dict(loss=self.head(student.unflatten(0, (len(views), -1)), targets))

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, and the center and temperature of the targets."""
        super().on_step_end(progress)
        self.targets.update(progress)

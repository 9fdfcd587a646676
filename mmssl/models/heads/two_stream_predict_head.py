"""One predictor per stream, and the loss of both predictions."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmssl.registry import HEADS, LOSSES, NECKS


@HEADS.register_module()
class TwoStreamPredictHead(BaseModule):
    """Predicts the teacher's two streams from the student's, as CARE does (arXiv:2110.05340).

    Args:
        predictor: Config of a predictor, such as an ``MLPProjector``; it is built twice, once per stream.
        loss: Config of a loss that takes the arguments f1, f2, f3 and f4 of ``care``, such as ``CARELoss``.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, predictor: dict, loss: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.c_predictor = NECKS.build(predictor)
        self.t_predictor = NECKS.build(predictor)
        self.loss = LOSSES.build(loss)

    def forward(self, student: tuple[Tensor, Tensor], teacher: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """Returns the terms of the loss by name, scalars.

        Args:
            student: The student's embeddings (N, D) of one view: C-stream and T-stream.
            teacher: The teacher's embeddings (N, D) of the other view: C-stream and T-stream, without gradient.
        """
        f1, f3 = self.c_predictor(student[0]), self.t_predictor(student[1])
        f2, f4 = teacher
        return self.loss(f1, f2, f3, f4)

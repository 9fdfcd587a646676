"""A predictor and a loss that compares its output with an embedding."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor

from mmssl.registry import HEADS, LOSSES, NECKS


@HEADS.register_module()
class LatentPredictHead(BaseModule):
    """Predicts the embedding of another view: ``loss(predictor(z), target)``, as BYOL, SimSiam and MoCo v3 do.

    Args:
        predictor: Config of the predictor, such as an ``MLPProjector``.
        loss: Config of a loss that takes the prediction and the target.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, predictor: dict, loss: dict, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.predictor = NECKS.build(predictor)
        self.loss = LOSSES.build(loss)

    def forward(self, embedding: Tensor, target: Tensor) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            embedding: (N, D), the input of the predictor.
            target: (N, D), the embedding to predict, without gradient.
        """
        return self.loss(self.predictor(embedding), target)

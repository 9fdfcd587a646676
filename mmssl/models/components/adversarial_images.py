"""Adversarial images for adversarial training."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from mmssl.models.components.pgd_attack import statistics_kept
from mmssl.models.components.run_position import RunPosition
from mmssl.models.preprocessing.pixels import from_pixels, to_pixels
from mmssl.registry import COMPONENTS


class AdversarialImages(nn.Module):
    """Replaces the images of a batch with adversarial images; the random start differs at every step of the run.

    Args:
        attack: Config of an attack such as ``PGDAttack``.
    """

    def __init__(self, attack: dict) -> None:
        super().__init__()
        self.attack = COMPONENTS.build(attack)
        self.position = RunPosition()

    def forward(self, model: Any, images: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        """Returns adversarial images (N, 3, H, W), normalised.

        The attack does not change the running statistics of batch norms; only the training step does.

        Args:
            model: Algorithm with backbone, neck and head; the attack keeps its mode (training or evaluation).
            images: (N, 3, H, W), normalised by the algorithm's preprocessor.
            labels: (N,) int64, classes of the images.
            indices: (N,) int64, positions of the images in their dataset.
        """

        def predict(pixels: Tensor) -> Tensor:
            return model.head.predict(model.neck(model.backbone(from_pixels(pixels, model.data_preprocessor))))

        with statistics_kept(model):
            pixels = to_pixels(images, model.data_preprocessor)
            attacked = self.attack(predict, pixels, labels, indices, self.position.count)
        return from_pixels(attacked, model.data_preprocessor)

"""RotNet."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.rotations import NUM_ROTATIONS, four_rotations
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class RotNet(BaseAlgorithm):
    """Prediction of image rotations (Gidaris et al., 2018, arXiv:1803.07728, Eq. 1 to 3).

    Each image contributes its four rotations to the same batch, so the network sees four times the batch size. The head
    classifies the rotations; it is a ``LinearClsHead`` with four classes.

    Args:
        **slots: Arguments of ``BaseAlgorithm``.

    Raises:
        ValueError: The number of classes of the head is not four.
    """

    views = Views(1)

    def __init__(self, **slots: Any) -> None:
        super().__init__(**slots)
        if self.head.num_classes != NUM_ROTATIONS:
            raise ValueError(f'model.head.num_classes must be {NUM_ROTATIONS} rotations, got {self.head.num_classes}')
        self.batch_coupled = 'batch norm' if any(isinstance(m, _BatchNorm) for m in self.modules()) else None

    @staticmethod
    def shown_views(views: list[Tensor]) -> list[Tensor]:
        """Returns the four rotations of the view, one batch (N, 3, S, S) each."""
        return list(four_rotations(views[0])[0].unflatten(0, (-1, NUM_ROTATIONS)).unbind(1))

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean cross entropy over the four rotations of one view (N, 3, S, S), and the accuracy."""
        (images,) = views
        rotated, labels = four_rotations(images)  # (4 * N, 3, S, S), (4 * N,)
        logits = self.head.predict(self.neck(self.backbone(rotated)))  # (4 * N, 4)
        accuracy = (logits.detach().argmax(dim=1) == labels).float().mean()
        return dict(loss=self.head.loss(logits, labels), rotation_accuracy=accuracy)

"""Distillation of a frozen network into a student."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS, TARGETS


@ALGORITHMS.register_module()
class Distillation(BaseAlgorithm):
    """A student predicts the features of a frozen network for the whole image and for its positions.

    ``neck`` maps the student's features to the teacher's space, ``head`` is a loss of rows of features, such as
    ``NegativeCosineLoss``. Each kind of feature that the neck predicts is a term of the loss.

    Args:
        target: Config of the teacher: ``FeatureTarget`` or ``CLIPTarget``.
        weights: Kind of feature, ``'pooled'`` or ``'dense'`` -> weight of its term; 1 for those that are not named.
        **slots: Arguments of ``BaseAlgorithm``; ``neck`` is a ``FeatureProjector``.

    Raises:
        ValueError: A weight is named for a kind of feature that the neck does not predict.
    """

    views = Views(1, rendering=True)

    def __init__(self, *, target: dict, weights: dict[str, float] | None = None, **slots: Any) -> None:
        super().__init__(**slots)
        self.target = TARGETS.build(target)
        self.weights = weights or {}
        kinds = getattr(self.neck, 'kinds', tuple(self.weights))
        if not set(self.weights) <= set(kinds):
            raise ValueError(f'weights must name some of {kinds}, which the neck predicts, got {sorted(self.weights)}')

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns one term per kind of feature, ``loss_pooled`` and ``loss_dense``.

        Args:
            views: Images (N, 3, H, W), and optionally another rendering of the images for the teacher.
            data_samples: Not used.
        """
        return {
            f'loss_{kind}': self.weights.get(kind, 1.0) * self.head(*(features.flatten(0, -2) for features in pair))
            for kind, pair in self.compared(views).items()
        }

    def compared(self, views: list[Tensor]) -> dict[str, tuple[Tensor, Tensor]]:
        """Returns the student's prediction and the teacher's features of each kind, for the views of ``loss``.

        Raises:
            ValueError: Student and teacher have another number of positions, or features of another width.
        """
        predicted = self.neck(self.backbone(views[0]))
        wanted = self.target.encode(views[-1])
        for kind, features in predicted.items():
            if features.shape != wanted[kind].shape:
                raise ValueError(
                    f'the student predicts {kind} features {tuple(features.shape)} and the teacher has '
                    f'{tuple(wanted[kind].shape)}: set model.neck.out_channels={wanted[kind].shape[-1]}, and '
                    'model.target.grid_size to the rows of positions of the student'
                )
        return {kind: (features, wanted[kind]) for kind, features in predicted.items()}

"""SeLa."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS

SPACINGS = {'quadratic': 2, 'linear': 1}


@ALGORITHMS.register_module()
class SeLa(LabelledAlgorithm):
    """Self-labelling via simultaneous clustering and representation learning (Asano et al., 2020, arXiv:1911.05371).

    Labels and network minimise the same cross entropy: the network by gradient steps (Eq. 6), the labels by optimal
    transport of the network's predictions to clusters of equal size (``TransportLabeller``). Nothing is reset when
    labels change. Several heads have their own labels and are trained together.

    The times of the labellings are measured in images seen and may lie within an epoch. For E epochs of N images they
    are ``(E + 1.01) N u ** 2`` (quadratic, for ImageNet) or ``(E + 1.01) N u`` (linear, for CIFAR, where the official
    code has 1.0001), with u evenly spaced in [0, 1]. The last times lie after the end of the run, as in that code.

    Args:
        num_labellings: Number of values of u. In a run of 400 epochs lie 99 of 100 quadratic and 398 of 400 linear
            times.
        spacing: Spacing of the times: ``'quadratic'`` or ``'linear'``.
        label_pass: Predictions from which labels are computed: ``'training'``, as published, for augmented images with
            dropout and the norm statistics of the batch; ``'plain'`` for unaugmented images in evaluation mode.
        **slots: Arguments of ``BaseAlgorithm``; the head is a ``ClusterHead``.

    Raises:
        ValueError: ``spacing`` or ``label_pass`` is unknown, or ``num_labellings`` is less than 1.
    """

    views = Views(1)

    def __init__(
        self,
        *,
        num_labellings: int = 100,
        spacing: str = 'quadratic',
        label_pass: str = 'training',
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        if num_labellings < 1 or spacing not in SPACINGS or label_pass not in ('training', 'plain'):
            raise ValueError(
                f"num_labellings must be positive, spacing one of {list(SPACINGS)} and label_pass 'training' or "
                f"'plain', got {num_labellings}, {spacing!r} and {label_pass!r}"
            )
        self.num_labellings = num_labellings
        self.spacing = spacing
        self.label_pass = label_pass
        self.label_width = self.backbone.feature_dim

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the cross entropy, mean over heads, for one view (N, 3, H, W) with the labels of its images."""
        features = self.neck(to_vector(self.backbone(views[0])))
        return dict(loss=self.head(features, self.labels_of(data_samples)))

    def label_times(self, num_images: int, max_epochs: int) -> Sequence[float]:
        """Returns the times of the labellings in images seen, see the class."""
        positions = np.linspace(0, 1, self.num_labellings) ** SPACINGS[self.spacing]
        return ((max_epochs + 1.01) * num_images * positions).tolist()

    def label_features(self, images: Tensor | list[Tensor]) -> Tensor:
        """Returns the input of the heads, (N, D)."""
        return self.neck(to_vector(self.backbone(images[0] if isinstance(images, list) else images)))

    def label_scores(self, features: Tensor, head: int) -> Tensor:
        """Returns the logits (N, K) of the head with the index ``head`` for ``features`` (N, D)."""
        return self.head.scores(features, head)

"""DeepCluster, version 2."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.encode_views import encode_views
from mmssl.models.components.feature_bank import FeatureBank
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class DeepClusterV2(LabelledAlgorithm):
    """DeepCluster-v2 (Caron et al., 2020, arXiv:2006.09882, Appendix D).

    A bank keeps the embeddings of the first crops from the last epoch. Before every epoch spherical k-means clusters
    the bank, once per head; the centroids become the weights of the head, which are not trained. Each crop of an image
    then predicts the image's cluster. Before the first epoch a pass over the training set in training mode fills the
    bank. An image that the last epoch skipped has no label and gives no gradient.

    The labeller is ``KMeansLabeller(num_heads=3, num_crops=2, spherical=True, num_iterations=10,
    empty_clusters='keep')``. In the official code each process holds a part of the bank and the initial centroids are
    rows of the first process; here they are rows of the whole bank, which one process clusters.

    Args:
        num_assign: Number C of crops whose embeddings are clustered, the first C views; the official
            ``crops_for_assign`` lists them. ``num_crops`` of the labeller must be the same number.
        **slots: Arguments of ``BaseAlgorithm``: the head is a ``ClusterHead`` with ``bias=False, frozen=True``.

    Raises:
        ValueError: ``num_assign`` is not positive.
    """

    label_pass = 'training'
    takes_centroids = True
    batch_coupled = 'batch norm'

    def __init__(self, *, num_assign: int = 2, **slots: Any) -> None:
        super().__init__(**slots)
        if num_assign < 1:
            raise ValueError(f'num_assign must be at least 1, got {num_assign}')
        self.num_assign = self.label_crops = num_assign
        self.views = Views(num_assign, local=True)
        self.label_width = num_assign * self.head.fc.in_features
        self.bank = FeatureBank(self.label_width)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the cross entropy with the clusters of the images as labels, mean over heads, views and images."""
        labels = self.labels_of(data_samples)
        embeddings = normalize(self.neck(encode_views(self.backbone, views)), dim=1)  # (V * N, D)
        crops = embeddings.chunk(len(views))[: self.num_assign]
        assert data_samples is not None, 'labels_of() has found labels in it'
        self.bank.stage(torch.cat(crops, 1), data_samples['index'])
        return dict(loss=self.head(embeddings, labels.repeat(len(views), 1)))

    def label_features(self, images: list[Tensor]) -> Tensor:
        """Returns the embeddings (N, C * D) of the first C views, computed view by view as in the official code."""
        crops = images[: self.num_assign]
        return torch.cat([normalize(self.neck(to_vector(self.backbone(x))), dim=1) for x in crops], 1)

    def stored_features(self) -> tuple[Tensor, Tensor] | None:
        """Returns the bank and which rows are filled; None if it is empty."""
        return (self.bank.features, self.bank.filled) if self.bank.filled.any() else None

    def before_labels(self, num_images: int) -> None:
        """Resizes the bank to ``num_images`` rows."""
        self.bank.resize(num_images)

    def take_labels(self, labels: np.ndarray, centroids: np.ndarray | None) -> list[nn.Module]:
        """Copies the centroids into the weights of the head and empties the bank."""
        if centroids is not None:
            self.head.set_centroids(torch.from_numpy(centroids))
        self.bank.clear()
        return []

    def on_train_start(self) -> None:
        """Empties the bank, which may come from the checkpoint of another run."""
        self.bank.clear()

    def on_step_end(self, progress: float) -> None:
        """Writes the embeddings of the step into the bank."""
        self.bank.commit()

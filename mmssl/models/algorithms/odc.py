"""ODC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.online_clusters import OnlineClusters
from mmssl.models.components.run_position import RunPosition
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class ODC(LabelledAlgorithm):
    """Online deep clustering (Zhan et al., 2020, arXiv:2006.10645, section 3).

    k-means labels all images once, before the first step (``PseudoLabelsHook``). From then on a memory holds a feature
    and a cluster for each image: the step of an image moves its feature and chooses its cluster again, so the classes
    that the network learns change a little at every step instead of at every epoch. Images of small clusters count
    more. Every ``tidy_interval`` steps the centroids are recomputed, and small clusters are filled with half of the
    largest; the official code looks for small clusters at every step.

    Args:
        clusters: Arguments of ``OnlineClusters`` without ``num_clusters``, which are those of the head.
        tidy_interval: Number of steps between two calls of ``OnlineClusters.tidy``.
        **slots: Arguments of ``BaseAlgorithm``; the output of the neck is clustered, the head is a ``ClusterHead``.

    Raises:
        ValueError: ``tidy_interval`` is not positive.
    """

    views = Views(1)
    needs_vectors = True
    takes_centroids = True
    batch_coupled = 'batch norm'

    def __init__(self, *, clusters: dict, tidy_interval: int = 10, **slots: Any) -> None:
        super().__init__(**slots)
        if tidy_interval < 1:
            raise ValueError(f'tidy_interval must be at least 1, got {tidy_interval}')
        self.clusters = OnlineClusters(num_clusters=self.head.num_clusters, **clusters)
        self.label_width = self.clusters.features.shape[1]
        self.tidy_interval, self.position = tidy_interval, RunPosition()

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the cross entropy for one view (N, 3, H, W) with the current clusters of its images as classes."""
        labels = self.labels_of(data_samples)  # (N, 1), those of k-means, which only start the memory
        features = self.neck(self.backbone(views[0]))  # (N, D)
        if not len(self.clusters.labels):  # a step without a training set, such as that of the dry run
            return dict(loss=self.head(features, labels))
        index = data_samples['index']  # type: ignore[index]
        self.clusters.stage(features.detach(), index)
        labels = self.clusters.labels[index][:, None]
        return dict(loss=self.head(features, labels, self.clusters.weights()[labels]))

    def label_times(self, num_images: int, max_epochs: int) -> Sequence[float]:
        """Returns [0]: labels are computed once, before the first step."""
        return [0]

    def label_features(self, images: Tensor) -> Tensor:
        """Returns the unit features (N, D) that k-means clusters."""
        return torch.nn.functional.normalize(self.neck(self.backbone(images)), dim=1)

    def before_labels(self, num_images: int) -> None:
        """Sets the number of rows of the memory."""
        self.clusters.resize(num_images)

    def take_labels(self, labels: np.ndarray, centroids: np.ndarray | None) -> list[nn.Module]:
        """Starts the memory with the clusters of k-means, and resets the classifier to random weights."""
        assert centroids is not None, 'k-means has centroids'
        device = self.clusters.labels.device
        self.clusters.start(torch.from_numpy(labels[0]).to(device), torch.from_numpy(centroids[0]).to(device))
        self.head.reset()
        return [self.head]

    def on_train_start(self) -> None:
        """Resets the position in the run, which may come from the checkpoint of another run."""
        self.position.reset()

    def on_step_end(self, progress: float) -> None:
        """Moves the rows of the step's images, and tidies the clusters every ``tidy_interval`` steps."""
        self.clusters.commit()
        self.position.advance(progress)
        if self.position.steps % self.tidy_interval == 0:
            self.clusters.tidy()

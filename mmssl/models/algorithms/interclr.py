"""InterCLR."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.models.algorithms.teacher import TeacherAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.components.cluster_pairs import ClusterPairs
from mmssl.models.components.feature_queue import FeatureQueue
from mmssl.models.components.online_clusters import OnlineClusters
from mmssl.models.components.run_position import RunPosition
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class InterCLR(TeacherAlgorithm, LabelledAlgorithm):
    """Delving into inter-image invariance (Xie et al., 2022, arXiv:2008.11702, section 3), on MoCo v2.

    Beside MoCo's contrast of two views, a query must find a random image of its own cluster, possibly itself, among
    images of other clusters. Clusters and keys of all images stand in a memory that moves at every step, as in ODC.
    The negatives are drawn from the most similar images of other clusters ("semihard").

    Deviations from the official code: the own cluster is left out before the most similar images are taken, where the
    official code draws again until no image of the own cluster is among the negatives; small clusters are filled when
    the centroids are recomputed, officially at every step; see ``ODC`` and ``MoCo`` for the start of the memory and for
    the order of teacher and queue.

    Args:
        queue: Arguments of ``FeatureQueue``: ``length`` and ``dim``.
        clusters: Arguments of ``OnlineClusters`` without ``num_clusters``, which are those of the head. The paper
            replaces rows, ``momentum=0``.
        pairs: Arguments of ``ClusterPairs``: ``num_negatives`` and ``num_candidates``.
        tidy_interval: Number of steps between two calls of ``OnlineClusters.tidy``.
        norm_group_size: Number of keys that share norm statistics, see ``BatchShuffle``.
        **slots: Arguments of ``TeacherAlgorithm``; the head is an ``InterImageLoss``.

    Raises:
        ValueError: ``tidy_interval`` is not positive.
    """

    views = Views(2, any_size=True)
    needs_vectors = True
    takes_centroids = True
    batch_coupled = 'batch norm'

    def __init__(
        self,
        *,
        queue: dict,
        clusters: dict,
        pairs: dict | None = None,
        tidy_interval: int = 10,
        norm_group_size: int | None = None,
        **slots: Any,
    ) -> None:
        super().__init__(**slots)
        if tidy_interval < 1:
            raise ValueError(f'tidy_interval must be at least 1, got {tidy_interval}')
        self.queue, self.shuffle = FeatureQueue(**queue), BatchShuffle(norm_group_size)
        self.clusters = OnlineClusters(num_clusters=self.head.num_clusters, **clusters)
        self.label_width = self.clusters.features.shape[1]
        self.pairs = ClusterPairs(**(pairs or {}))
        self.tidy_interval, self.position = tidy_interval, RunPosition()

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns both terms for two views (N, 3, H, W): queries from the first, keys from the second."""
        self.labels_of(data_samples)  # k-means has started the memory
        query_view, key_view = views
        queries = self.neck(self.backbone(query_view))  # (N, D)
        keys = self.shuffle(self.teacher, key_view)  # (N, D), no gradient
        self.queue.stage(keys)
        similarities = None
        if len(self.clusters.labels):  # the step of a dry run has no training set
            index = data_samples['index']  # type: ignore[index]
            self.clusters.stage(keys, index)
            similarities = self.pairs(queries, self.clusters, index, self.position.count)
        return self.head(queries, keys, self.queue.features, similarities)

    def label_times(self, num_images: int, max_epochs: int) -> Sequence[float]:
        """Returns [0]: k-means runs once, before the first step."""
        return [0]

    def label_features(self, images: Tensor) -> Tensor:
        """Returns the unit embeddings (N, D) that k-means clusters."""
        return normalize(self.neck(self.backbone(images)), dim=1)

    def before_labels(self, num_images: int) -> None:
        """Sets the number of rows of the memory."""
        self.clusters.resize(num_images)

    def take_labels(self, labels: np.ndarray, centroids: np.ndarray | None) -> list[nn.Module]:
        """Starts the memory with the clusters of k-means."""
        assert centroids is not None, 'k-means has centroids'
        device = self.clusters.labels.device
        self.clusters.start(torch.from_numpy(labels[0]).to(device), torch.from_numpy(centroids[0]).to(device))
        return []

    def on_train_start(self) -> None:
        """Copies the student into the teacher, and resets the position in the run."""
        super().on_train_start()
        self.position.reset()

    def on_step_end(self, progress: float) -> None:
        """Updates teacher, queue and memory, and tidies the clusters every ``tidy_interval`` steps."""
        super().on_step_end(progress)
        self.queue.commit()
        self.clusters.commit()
        self.position.advance(progress)
        if self.position.steps % self.tidy_interval == 0:
            self.clusters.tidy()

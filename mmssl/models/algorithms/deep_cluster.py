"""DeepCluster."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor, nn

from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.pooling import to_vector
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class DeepCluster(LabelledAlgorithm):
    """Deep clustering for unsupervised learning of visual features (Caron et al., 2018, arXiv:1807.05520).

    Before every epoch k-means clusters the features of all images; the network then learns to classify the clusters,
    with a newly initialised classifier. The parts of the official loop are

    - a pass over the unaugmented images in evaluation mode, k-means on whitened features, another seed each time:
      ``PseudoLabelsHook(labeller=dict(type='KMeansLabeller', num_clusters=10000, whiten=256), transform=...)``;
    - batches drawn uniformly over clusters: ``ClusterSampler``;
    - two optimizers, of which the classifier's has no momentum: here one SGD whose parameter group of the classifier
      has momentum 0, which takes the same steps: ``paramwise_cfg=dict(custom_keys={'head.fc': dict(momentum=0.0)})``.

    Args:
        **slots: Arguments of ``BaseAlgorithm``. The output of the backbone is clustered: fc7 before its ReLU, which is
            in the head (``ClusterHead(relu=True)``), or the pooled map of a ResNet.
    """

    views = Views(1)

    def __init__(self, **slots: Any) -> None:
        super().__init__(**slots)
        self.label_width = self.backbone.feature_dim

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the cross entropy for one view (N, 3, H, W) with the clusters of its images as labels."""
        features = self.neck(to_vector(self.backbone(views[0])))
        return dict(loss=self.head(features, self.labels_of(data_samples)))

    def take_labels(self, labels: np.ndarray, centroids: np.ndarray | None) -> list[nn.Module]:
        """Resets the classifier to random weights."""
        self.head.reset()
        return [self.head]

"""The base class of algorithms that learn labels computed from their own features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.layers.pooling import to_vector
from mmssl.utils.errors import UserError


class LabelledAlgorithm(BaseAlgorithm):
    """An algorithm whose training set gets new labels from ``PseudoLabelsHook`` at certain times.

    ``label_times`` gives the times. At each of them the hook collects ``label_features`` of every image (or
    ``stored_features``, if the algorithm keeps features during training), and its ``labeller`` computes labels from
    them. The hook passes the labels to ``take_labels``, to the sampler, and with every batch to ``loss`` as
    ``data_samples['pseudo_label']`` (N, H) int64, -1 for an image without label.
    """

    label_pass = 'plain'
    """Input of ``label_features``: ``'plain'``, unaugmented images in evaluation mode, or ``'training'``, the augmented
    views in training mode."""

    label_width: int
    """Width of ``label_features``."""

    label_crops = 1
    """Number of crops of an image whose features stand side by side in a row of ``label_features``."""

    takes_centroids = False
    """Whether ``take_labels`` needs the centroids of the clusters, in the space of the features."""

    def labels_of(self, data_samples: dict | None) -> Tensor:
        """Returns the labels (N, H) int64 that the hook added to a batch.

        Raises:
            UserError: ``data_samples`` has no labels.
        """
        if data_samples is None or 'pseudo_label' not in data_samples:
            raise UserError(
                f"{type(self).__name__} learns labels: add dict(type='PseudoLabelsHook', ...) to custom_hooks"
            )
        return data_samples['pseudo_label']

    def label_times(self, num_images: int, max_epochs: int) -> Sequence[float]:
        """Returns the times at which labels are computed, in images seen, ascending from 0; by default before every
        epoch.

        Args:
            num_images: Number of images of an epoch.
            max_epochs: Number of epochs of the run.
        """
        return [epoch * num_images for epoch in range(max_epochs)]

    def label_features(self, images: Any) -> Tensor:
        """Returns the features (N, D) from which labels are computed: by default the backbone's vectors.

        Args:
            images: (N, 3, H, W), or the list of views if ``label_pass`` is ``'training'``.
        """
        return to_vector(self.backbone(images))

    def label_scores(self, features: Tensor, head: int) -> Tensor:
        """Returns the logits (N, K) of the head with the index ``head`` for ``features`` (N, D), for some labellers."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define label_scores()')

    def stored_features(self) -> tuple[Tensor, Tensor] | None:
        """Returns features (N, D) of the training set and whether each exists (N,) bool; None requests a pass."""
        return None

    def before_labels(self, num_images: int) -> None:
        """Prepares state of the size of the training set; called before a run starts or is resumed.

        Args:
            num_images: Number of images of the training set.
        """

    def take_labels(self, labels: np.ndarray, centroids: np.ndarray | None) -> list[nn.Module]:
        """Adapts the model to new labels.

        Args:
            labels: (H, N) int64, the labels of all images.
            centroids: (H, K, D) float32; None for labels without centroids.

        Returns:
            Modules that were reset; the optimizer's state of their parameters is removed.
        """
        return []


def with_placeholder_labels(algorithm: nn.Module, data_samples: dict | None, num_images: int) -> dict | None:
    """Adds labels to ``data_samples`` for an algorithm that needs them, so that a step can run without the hook.

    Args:
        algorithm: Algorithm; if it is not a ``LabelledAlgorithm``, ``data_samples`` are returned unchanged.
        data_samples: Argument of ``loss``, or None.
        num_images: Number N of images of the batch.
    """
    if not isinstance(algorithm, LabelledAlgorithm):
        return data_samples
    labels = torch.arange(num_images)[:, None].expand(-1, algorithm.head.num_heads) % algorithm.head.num_clusters
    device = next(algorithm.parameters()).device
    samples = {'index': torch.arange(num_images, device=device), **(data_samples or {})}
    return samples | {'pseudo_label': labels.to(device)}

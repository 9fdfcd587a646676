"""What algorithms share that learn labels made of their own features."""

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
    """An algorithm whose training set gets new labels from time to time, by ``PseudoLabelsHook``.

    The hook asks ``label_times`` when, and makes the labels of what ``label_features`` returns for every image (or of
    ``stored_features``, where the algorithm keeps features while it trains). It hands the labels to ``take_labels``, to
    the sampler, and with every batch to ``loss`` as ``data_samples['pseudo_label']`` (N, H) int64, -1 for an image
    without label. How labels are made of features is the hook's ``labeller``.
    """

    label_pass = 'plain'
    """What is read to make labels: ``'plain'``, unaugmented images in eval mode, or ``'training'``, the augmented views
    in training mode."""

    label_width: int
    """Width of ``label_features``."""

    def labels_of(self, data_samples: dict | None) -> Tensor:
        """Returns the labels (N, H) int64 that the hook gave a batch.

        Raises:
            UserError: There are none.
        """
        if data_samples is None or 'pseudo_label' not in data_samples:
            raise UserError(
                f"{type(self).__name__} learns labels: add dict(type='PseudoLabelsHook', ...) to custom_hooks"
            )
        return data_samples['pseudo_label']

    def label_times(self, num_images: int, max_epochs: int) -> Sequence[float]:
        """Returns when labels are made, in images seen, ascending; the first is 0. By default before every epoch.

        Args:
            num_images: Images of an epoch.
            max_epochs: Epochs of the run.
        """
        return [epoch * num_images for epoch in range(max_epochs)]

    def label_features(self, images: Any) -> Tensor:
        """Returns what labels are made of (N, D): by default the backbone's vectors.

        Args:
            images: (N, 3, H, W), or the list of views where ``label_pass`` is ``'training'``.
        """
        return to_vector(self.backbone(images))

    def label_scores(self, features: Tensor, head: int) -> Tensor:
        """Returns the logits (N, K) of a head for ``features`` (N, D), for labellers that need them."""
        raise NotImplementedError(f'abstract: {type(self).__name__} has no scores that labels depend on')

    def stored_features(self) -> tuple[Tensor, Tensor] | None:
        """Returns features (N, D) of the training set and whether each is there (N,) bool; None asks for a pass."""
        return None

    def before_labels(self, num_images: int) -> None:
        """Called before a run is resumed or begins: prepares state of the size of the training set.

        Args:
            num_images: Images of the training set.
        """

    def take_labels(self, labels: np.ndarray, centroids: np.ndarray | None) -> list[nn.Module]:
        """Adapts the model to new labels.

        Args:
            labels: (H, N) int64.
            centroids: (H, K, D) float32, None for labels without centroids.

        Returns:
            Modules that were reset: the optimizer forgets its state of their parameters.
        """
        return []


def with_placeholder_labels(algorithm: nn.Module, data_samples: dict | None, num_images: int) -> dict | None:
    """Returns ``data_samples`` with labels for an algorithm that needs some, to time or check a step without the hook.

    Args:
        algorithm: Any; one that needs no labels gets ``data_samples`` back.
        data_samples: What ``loss`` takes, or None.
        num_images: Images of the batch N.
    """
    if not isinstance(algorithm, LabelledAlgorithm):
        return data_samples
    labels = torch.arange(num_images)[:, None].expand(-1, algorithm.head.num_heads) % algorithm.head.num_clusters
    device = next(algorithm.parameters()).device
    samples = {'index': torch.arange(num_images, device=device), **(data_samples or {})}
    return samples | {'pseudo_label': labels.to(device)}

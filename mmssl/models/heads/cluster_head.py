"""Linear classifiers for methods that learn from clusters."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.distributed.collectives import sum_over_processes, world_size
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import HEADS

INITS = ('normal', 'torch')


@in_full_precision
def cluster_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
    """Mean cross entropy over heads and over the labelled images of all processes.

    In one process it is the weighted mean of ``-log_softmax(logits[i, h])[labels[i, h]]`` over the images i and heads h
    with ``labels[i, h] >= 0``.

    Args:
        logits: (N, H, K), logits of K clusters for each of H heads.
        labels: (N, H) int64 in [0, K), or negative if the image has no label; such an entry gives no gradient.
        weights: (N, H), weights of the entries, which then all have a label; None means equal weights.

    Returns:
        Scalar; the average over processes is the loss of the whole batch.
    """
    if weights is not None:
        terms = nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction='none')
        weights = weights.flatten().to(terms.dtype)
        return (weights * terms).sum() / (sum_over_processes(weights.sum()) / world_size())
    total = nn.functional.cross_entropy(
        logits.flatten(0, 1), labels.flatten().clamp_min(-1), ignore_index=-1, reduction='sum'
    )
    count = sum_over_processes((labels >= 0).sum().to(logits.dtype)) / world_size()
    return total / count.clamp_min(1 / world_size())


@HEADS.register_module()
class ClusterHead(BaseModule):
    """H linear classifiers over K clusters each, with the cross entropy to one label per classifier.

    | method | arguments |
    |---|---|
    | DeepCluster | ``relu=True`` (the ReLU before fc8; the clustered features precede it) |
    | DeepCluster-v2 | ``num_heads=3, bias=False, temperature=0.1, frozen=True``, the weights are centroids |
    | SeLa | ``num_heads=10``, with a ResNet also ``init='torch'`` |

    Args:
        in_channels: Width D of the features.
        num_clusters: Number of clusters K.
        num_heads: Number of classifiers H.
        bias: Whether the classifiers have a bias.
        relu: Whether a ReLU precedes the classifiers.
        temperature: Divisor of the logits, > 0.
        init: Initial weights: ``'normal'`` draws them from a normal distribution with standard deviation 0.01 and sets
            biases to 0; ``'torch'`` is the default of ``nn.Linear``.
        frozen: Whether the weights are excluded from training.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``temperature`` is not positive or ``init`` is unknown.
    """

    def __init__(
        self,
        in_channels: int,
        num_clusters: int,
        num_heads: int = 1,
        *,
        bias: bool = True,
        relu: bool = False,
        temperature: float = 1.0,
        init: str = 'normal',
        frozen: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if temperature <= 0 or init not in INITS:
            raise ValueError(f'temperature must be positive and init one of {INITS}, got {temperature} and {init!r}')
        self.num_clusters = num_clusters
        self.num_heads = num_heads
        self.temperature = temperature
        self.init = init
        self.relu = nn.ReLU() if relu else nn.Identity()
        self.fc = nn.Linear(in_channels, num_heads * num_clusters, bias=bias).requires_grad_(not frozen)
        self.reset()

    @torch.no_grad()
    def reset(self) -> None:
        """Draws new initial weights."""
        if self.init == 'torch':
            self.fc.reset_parameters()
            return
        nn.init.normal_(self.fc.weight, std=0.01)
        if self.fc.bias is not None:
            nn.init.zeros_(self.fc.bias)

    @torch.no_grad()
    def set_centroids(self, centroids: Tensor) -> None:
        """Copies centroids (H, K, D) into the weights."""
        self.fc.weight.copy_(centroids.flatten(0, 1))

    def predict(self, features: Tensor) -> Tensor:
        """Returns logits (N, H, K) for features (N, D)."""
        return self.fc(self.relu(features)).unflatten(1, (self.num_heads, self.num_clusters)) / self.temperature

    def scores(self, features: Tensor, head: int) -> Tensor:
        """Returns the logits (N, K) of the classifier with the index ``head`` for features (N, D)."""
        rows = slice(head * self.num_clusters, (head + 1) * self.num_clusters)
        bias = None if self.fc.bias is None else self.fc.bias[rows]
        return nn.functional.linear(self.relu(features), self.fc.weight[rows], bias) / self.temperature

    def forward(self, features: Tensor, labels: Tensor, weights: Tensor | None = None) -> Tensor:
        """Returns the loss, a scalar, see ``cluster_cross_entropy``.

        Args:
            features: (N, D).
            labels: (N, H) int64, negative if an image has no label; with ``weights`` every image has one.
            weights: (N, H), weights of the entries; None means equal weights.
        """
        return cluster_cross_entropy(self.predict(features), labels, weights)

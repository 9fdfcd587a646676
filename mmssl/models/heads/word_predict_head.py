"""Prediction of visual words from a feature vector."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import linear, normalize

from mmssl.models.layers.pooling import to_vector_of
from mmssl.registry import HEADS, LOSSES


@HEADS.register_module()
class WordPredictHead(BaseModule):
    """``gamma * <feature, w_k / |w_k|>`` as the logit of word k, and its loss (BoWNet, arXiv:2002.12247, Eq. 4).

    The weights are normalised at each call and one learned gamma scales all of them, so that a frequent word cannot get
    a longer weight. The feature is not normalised, and the layer has no bias.

    Args:
        in_channels: Width D of the features.
        num_words: Number K of words.
        gamma: Initial scale. The paper does not give it; with 1 the softmax over thousands of words is almost uniform.
        loss: Config of a loss that takes logits and probabilities; the default is the cross entropy.
        init_cfg: MMEngine's initialisation config. By default the directions of the weights are uniform on the sphere.
    """

    def __init__(
        self,
        in_channels: int,
        num_words: int,
        gamma: float = 10.0,
        loss: dict | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.weight = nn.Parameter(torch.randn(num_words, in_channels) / in_channels**0.5)
        self.gamma = nn.Parameter(torch.full((1,), float(gamma)))  # a vector, because scalars cannot be sharded
        self.loss = LOSSES.build(loss or dict(type='CrossEntropyLoss'))

    def predict(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns logits (N, K) for the output of a backbone, or for vectors (N, D)."""
        return self.gamma * linear(to_vector_of(features, self.weight.shape[1]), normalize(self.weight))

    def forward(self, features: Tensor | tuple[Tensor, ...], bags: Tensor) -> Tensor:
        """Returns the loss, a scalar, for features and bags (N, K) whose rows sum to 1."""
        return self.loss(self.predict(features), bags)

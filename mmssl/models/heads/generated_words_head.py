"""Prediction of visual words by a classifier whose weights are computed from the words."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import kl_div, linear, log_softmax, normalize

from mmssl.models.layers.pooling import to_vector_of
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import HEADS


class WordWeights(nn.Module):
    """Words -> weights of unit length: normalise, linear, batch norm over words, ReLU, linear, normalise.

    Args:
        channels: Channels C of a word.
        out_channels: Width D of a weight, which is the width of the features that it is multiplied with.
    """

    def __init__(self, channels: int, out_channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, 2 * out_channels, bias=False)
        self.bn = nn.BatchNorm1d(2 * out_channels)
        # All processes have the same words. The type is ignored because torch declares attributes of modules as
        # tensors.
        self.bn.sync = False  # type: ignore[assignment]
        self.fc2 = nn.Linear(2 * out_channels, out_channels)

    def forward(self, words: Tensor) -> Tensor:
        """Returns weights (K, D) for words (K, C)."""
        return normalize(self.fc2(self.bn(self.fc1(normalize(words))).relu()))


@HEADS.register_module()
class GeneratedWordsHead(BaseModule):
    """``kappa * <feature, G(word_k)>`` as the logit of word k of each level (OBoW, arXiv:2012.11552, section 3.4).

    The vocabulary changes at every step, so a small network G, one for each level of the teacher, computes the weights
    of the classifier from the words. All levels are predicted from one feature, which is not normalised.

    Args:
        in_channels: Width D of the features.
        word_channels: Number of channels of a word, one number per level.
        kappa: Fixed scale: 8 for ResNet-50 and 5 for ResNet-18 in the official recipes.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self, in_channels: int, word_channels: Sequence[int], kappa: float = 5.0, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.kappa = kappa
        self.generators = nn.ModuleList(WordWeights(channels, in_channels) for channels in word_channels)

    def weights(self, vocabularies: Sequence[Tensor]) -> list[Tensor]:
        """Returns the weights (K, D) of each level from its words (K, C)."""
        return [generator(words) for generator, words in zip(self.generators, vocabularies)]

    def predict(self, features: Tensor | tuple[Tensor, ...], weights: Sequence[Tensor]) -> list[Tensor]:
        """Returns logits (N, K) for each level, from the output of a backbone or vectors (N, D)."""
        scaled = self.kappa * to_vector_of(features, weights[0].shape[1])
        return [linear(scaled, weight) for weight in weights]

    def forward(
        self, features: Tensor | tuple[Tensor, ...], weights: Sequence[Tensor], bags: Sequence[Tensor]
    ) -> Tensor:
        """Returns the mean of ``KL(bag || softmax(logits))`` over images and levels, a scalar.

        Args:
            features: Output of a backbone, or vectors (N, D).
            weights: Weights (K, D) of each level, from the method ``weights``.
            bags: Bags (N, K) of each level; rows sum to 1.
        """
        losses = [bag_divergence(logits, bag) for logits, bag in zip(self.predict(features, weights), bags)]
        return torch.stack(losses).mean()


@in_full_precision
def bag_divergence(logits: Tensor, bags: Tensor) -> Tensor:
    """Returns the mean of ``KL(bag || softmax(logits))`` over images, a scalar, for logits and bags (N, K)."""
    return kl_div(log_softmax(logits, dim=1), bags, reduction='batchmean')

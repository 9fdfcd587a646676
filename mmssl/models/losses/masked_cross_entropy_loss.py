"""Cross-entropy on hidden patches."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mmssl.models.losses.numerics import in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def masked_cross_entropy(logits: Tensor, words: Tensor, mask: Tensor) -> Tensor:
    """Mean negative log-likelihood per hidden patch (Bao et al., 2022, arXiv:2106.08254, Eq. 2).

    ``-sum_i m_i log softmax(y_i)[w_i] / sum_i m_i`` over the patches i of all images and processes.

    Args:
        logits: (N, K, C), logits of C words for K patches of each image.
        words: (N, K) int64 in [0, C), the words to predict.
        mask: (N, K) bool, True = hidden.

    Returns:
        Scalar >= 0.
    """
    return masked_mean(cross_entropy(logits.transpose(1, 2), words, reduction='none'), mask)


@LOSSES.register_module()
class MaskedCrossEntropyLoss(nn.Module):
    """The loss of BEiT, see ``masked_cross_entropy``."""

    def forward(self, logits: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar, of logits (N, K, C), words (N, K) int64 and a mask (N, K) bool."""
        return masked_cross_entropy(logits, words, mask)

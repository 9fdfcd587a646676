"""Cross-entropy on hidden patches."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mmssl.models.losses.numerics import in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def masked_cross_entropy(logits: Tensor, words: Tensor, mask: Tensor, per_image: bool = False) -> Tensor:
    """Mean negative log-likelihood per hidden patch (Bao et al., 2022, arXiv:2106.08254, Eq. 2).

    ``-sum_i m_i log softmax(y_i)[w_i] / sum_i m_i`` over the patches i of all images and processes.

    Args:
        logits: (N, K, C), logits of C words for K patches of each image.
        words: (N, K) int64 in [0, C), the words to predict.
        mask: (N, K) bool, True = hidden.
        per_image: Whether the mean over the hidden patches is taken for each image first, and then over images; an
            image without hidden patches counts as 0.

    Returns:
        Scalar >= 0.
    """
    errors = cross_entropy(logits.transpose(1, 2), words, reduction='none')
    if not per_image:
        return masked_mean(errors, mask)
    return ((errors * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)).mean()


@LOSSES.register_module()
class MaskedCrossEntropyLoss(nn.Module):
    """The loss of BEiT and iGPT, see ``masked_cross_entropy``.

    Args:
        per_image: Whether every image has the same weight (iGPT), not every hidden patch (BEiT).
    """

    def __init__(self, per_image: bool = False) -> None:
        super().__init__()
        self.per_image = per_image

    def forward(self, logits: Tensor, words: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar, of logits (N, K, C), words (N, K) int64 and a mask (N, K) bool."""
        return masked_cross_entropy(logits, words, mask, self.per_image)

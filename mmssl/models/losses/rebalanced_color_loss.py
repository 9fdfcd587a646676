"""Colourisation's loss: cross entropy with soft bins, where rare colours count more."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def rebalanced_cross_entropy(logits: Tensor, indices: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
    """Cross entropy of predicted colours (Zhang et al., 2016, arXiv:1603.08511, Eq. 2).

    ``-sum_p weight_p sum_k share_pk log softmax(logits_p)_k``, summed over positions p and averaged over images. The
    official Caffe layers give the same gradient; the loss that they print is not weighted.

    Args:
        logits: (N, Q, H, W).
        indices: (N, K, H, W) int64, bins of each position.
        shares: (N, K, H, W), weights of these bins, which sum to 1 at each position.
        weights: (N, H, W), weight of each position.

    Returns:
        Scalar. A prediction of equal probabilities has ln Q per position of weight 1.
    """
    log_likelihoods = logits.log_softmax(dim=1).gather(1, indices)  # (N, K, H, W)
    return -(weights * (shares * log_likelihoods).sum(dim=1)).sum() / len(logits)


@LOSSES.register_module()
class RebalancedColorLoss(nn.Module):
    """Colourisation's loss, see ``rebalanced_cross_entropy``."""

    def forward(self, logits: Tensor, indices: Tensor, shares: Tensor, weights: Tensor) -> Tensor:
        """Returns the loss, a scalar, for logits (N, Q, H, W)."""
        return rebalanced_cross_entropy(logits, indices, shares, weights)

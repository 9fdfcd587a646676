"""Negative cosine similarity of the features of patches."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mmssl.models.losses.numerics import check_equal_shapes, in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def masked_cosine(predictions: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
    """Mean over patches of the negative cosine similarity (Fang et al., 2023, arXiv:2211.07636, section 2.1).

    Args:
        predictions: (N, L, P), features of each patch.
        targets: (N, L, P).
        mask: (N, L) bool, True = hidden; only hidden patches of all images and processes count. None counts all.

    Returns:
        Scalar in [-1, 1].

    Raises:
        ValueError: Predictions and targets differ in shape.
    """
    check_equal_shapes(predictions, targets)
    similarity = cosine_similarity(predictions, targets, dim=-1, eps=1e-8)  # (N, L)
    return -similarity.mean() if mask is None else -masked_mean(similarity, mask)


@LOSSES.register_module()
class MaskedCosineLoss(nn.Module):
    """The loss of EVA and MVP, see ``masked_cosine``.

    Args:
        hidden_only: Whether only hidden patches count; False counts all patches.
    """

    def __init__(self, hidden_only: bool = True) -> None:
        super().__init__()
        self.hidden_only = hidden_only

    def forward(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and targets (N, L, P) and a mask (N, L) bool, True = hidden."""
        return masked_cosine(predictions, targets, mask if self.hidden_only else None)

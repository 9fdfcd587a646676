"""SimSiam's loss: the negative cosine similarity."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import cosine_similarity

from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def negative_cosine(predictions: Tensor, targets: Tensor) -> Tensor:
    """Negative cosine similarity (Chen and He, 2021, arXiv:2011.10566, Eq. 1).

    Args:
        predictions: (N, D).
        targets: (N, D).

    Returns:
        Scalar in [-1, 1], mean over the batch.
    """
    return -cosine_similarity(predictions, targets, dim=1, eps=1e-8).mean()


@LOSSES.register_module()
class NegativeCosineLoss(nn.Module):
    """SimSiam's loss of one direction, see ``negative_cosine``."""

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and targets (N, D)."""
        return negative_cosine(predictions, targets)

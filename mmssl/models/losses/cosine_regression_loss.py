"""BYOL's loss: the squared distance of normalised vectors."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.models.losses.numerics import in_full_precision, l2_normalize
from mmssl.registry import LOSSES


@in_full_precision
def cosine_regression(predictions: Tensor, targets: Tensor) -> Tensor:
    """Squared distance of the normalised vectors (Grill et al., 2020, arXiv:2006.07733, Eq. 2).

    Args:
        predictions: (N, D).
        targets: (N, D).

    Returns:
        Scalar in [0, 4]: 2 - 2 cos, mean over the batch.
    """
    return (l2_normalize(predictions) - l2_normalize(targets)).square().sum(dim=1).mean()


@LOSSES.register_module()
class CosineRegressionLoss(nn.Module):
    """BYOL's loss of one direction, see ``cosine_regression``."""

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and targets (N, D)."""
        return cosine_regression(predictions, targets)

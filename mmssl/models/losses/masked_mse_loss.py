"""Squared error on hidden patches."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.models.losses.numerics import check_equal_shapes, in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def masked_mse(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean squared error per hidden patch (He et al., 2022, arXiv:2111.06377, section 3).

    ``sum_i m_i |y_i - t_i|^2 / P / sum_i m_i`` over the patches i of all images and processes.

    Args:
        predictions: (N, L, P), P values for each patch.
        targets: (N, L, P).
        mask: (N, L) bool, True = hidden.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: Predictions and targets differ in shape.
    """
    check_equal_shapes(predictions, targets)
    return masked_mean((predictions - targets).square().mean(dim=-1), mask)


@LOSSES.register_module()
class MaskedMSELoss(nn.Module):
    """The loss of MAE, see ``masked_mse``."""

    def forward(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and targets (N, L, P) and a mask (N, L) bool."""
        return masked_mse(predictions, targets, mask)

"""Absolute error on hidden patches."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.models.losses.numerics import check_equal_shapes, in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def masked_l1(predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error per hidden patch (Xie et al., 2022, arXiv:2111.09886, section 3.4).

    ``sum_i m_i |y_i - t_i|_1 / P / sum_i m_i`` over the patches i of all images and processes. The official code adds
    1e-5 to the number of hidden pixels, which only matters if no pixel is hidden: the loss is 0 then, here too.

    Args:
        predictions: (N, L, P).
        targets: (N, L, P).
        mask: (N, L) bool, True = hidden.

    Returns:
        Scalar >= 0.

    Raises:
        ValueError: Predictions and targets differ in shape.
    """
    check_equal_shapes(predictions, targets)
    return masked_mean((predictions - targets).abs().mean(dim=-1), mask)


@LOSSES.register_module()
class MaskedL1Loss(nn.Module):
    """The loss of SimMIM, see ``masked_l1``."""

    def forward(self, predictions: Tensor, targets: Tensor, mask: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and targets (N, L, P) and a mask (N, L) bool."""
        return masked_l1(predictions, targets, mask)

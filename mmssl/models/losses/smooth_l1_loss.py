"""Smooth L1 loss: absolute error that is quadratic near 0."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.models.losses.numerics import check_equal_shapes, in_full_precision, masked_mean
from mmssl.registry import LOSSES


@in_full_precision
def smooth_l1(predictions: Tensor, targets: Tensor, beta: float = 1.0) -> Tensor:
    """Returns ``(y - t)^2 / (2 beta)`` if ``|y - t| < beta``, else ``|y - t| - beta / 2``, averaged over P.

    Args:
        predictions: Predictions y, (N, L, P): P values for each of L patches.
        targets: Targets t, (N, L, P).
        beta: Error above which the loss grows linearly, > 0.

    Returns:
        Error of each patch, (N, L), >= 0.

    Raises:
        ValueError: Predictions and targets differ in shape.
    """
    check_equal_shapes(predictions, targets)
    return F.smooth_l1_loss(predictions, targets, beta=beta, reduction='none').mean(dim=-1)


@LOSSES.register_module()
class SmoothL1Loss(nn.Module):
    """The loss of iTPN with CLIP as teacher (arXiv:2211.12735v1) and of I-JEPA, see ``smooth_l1``.

    Args:
        beta: Error above which the loss grows linearly, > 0.
        hidden_only: Whether only hidden patches count; the official code counts all patches.
    """

    def __init__(self, beta: float = 1.0, hidden_only: bool = False) -> None:
        super().__init__()
        self.beta = beta
        self.hidden_only = hidden_only

    def forward(self, predictions: Tensor, targets: Tensor, mask: Tensor | None = None) -> Tensor:
        """Returns the loss, a scalar.

        Args:
            predictions: (N, ..., P), P values for each patch.
            targets: (N, ..., P).
            mask: (N, L) bool, True = hidden; needed with ``hidden_only``.

        Raises:
            ValueError: ``hidden_only`` is set and there is no mask.
        """
        errors = smooth_l1(predictions, targets, self.beta)
        if not self.hidden_only:
            return errors.mean()
        if mask is None:
            raise ValueError('hidden_only=True needs a mask, and this algorithm gives none: set hidden_only=False')
        return masked_mean(errors, mask)

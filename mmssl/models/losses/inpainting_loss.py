"""The reconstruction loss of the context encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def inpainting_error(predictions: Tensor, targets: Tensor, rim: int, rim_weight: float) -> Tensor:
    """Squared error of a filled hole, larger near its border (arXiv:1604.07379, sections 3.2 and 3.3).

    Args:
        predictions: (N, 3, S, S).
        targets: (N, 3, S, S).
        rim: Width in pixels of the border that predictions share with the visible context.
        rim_weight: Factor of the squared error in the rim; in the official code 10.

    Returns:
        Scalar: mean over all values, of which the rim counts ``rim_weight`` times.
    """
    weights = torch.full_like(predictions[:1, :1], rim_weight)
    weights[..., rim : weights.shape[-2] - rim, rim : weights.shape[-1] - rim] = 1.0
    return (weights * (predictions - targets).square()).mean()


@LOSSES.register_module()
class InpaintingLoss(nn.Module):
    """The context encoder's squared error, see ``inpainting_error``.

    Args:
        rim: Width in pixels of the visible border of the hole.
        rim_weight: Factor of the squared error in the rim.

    Raises:
        ValueError: A number is negative.
    """

    def __init__(self, rim: int = 4, rim_weight: float = 10.0) -> None:
        super().__init__()
        if rim < 0 or rim_weight < 0:
            raise ValueError(f'rim and rim_weight must be at least 0, got {rim} and {rim_weight}')
        self.rim, self.rim_weight = rim, rim_weight

    def forward(self, predictions: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss, a scalar, of predictions and targets (N, 3, S, S)."""
        return inpainting_error(predictions, targets, self.rim, self.rim_weight)

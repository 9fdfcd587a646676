"""Cross entropy of a classifier."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def smoothed_cross_entropy(
    logits: Tensor, targets: Tensor, label_smoothing: float = 0.0, temperature: float = 1.0
) -> Tensor:
    """Mean over images of ``-sum_c t_c log softmax(logits / temperature)_c`` with ``t = (1 - s) target + s / C``.

    Args:
        logits: (N, C).
        targets: Labels (N,) int64 in [0, C), or probabilities (N, C), such as mixed labels; both are smoothed.
        label_smoothing: s in [0, 1] (arXiv:1512.00567, section 7).
        temperature: Divisor of the logits, > 0.

    Returns:
        Scalar.
    """
    if temperature != 1:
        logits = logits / temperature
    return F.cross_entropy(logits, targets, label_smoothing=label_smoothing)


@LOSSES.register_module()
class CrossEntropyLoss(nn.Module):
    """Loss of a classifier, see ``smoothed_cross_entropy``.

    Args:
        label_smoothing: Weight of the uniform distribution in the targets, in [0, 1].

    Raises:
        ValueError: ``label_smoothing`` lies outside [0, 1].
    """

    def __init__(self, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing <= 1:
            raise ValueError(f'label_smoothing must lie in [0, 1], got {label_smoothing}')
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss, a scalar, of logits (N, C) and labels (N,) or probabilities (N, C)."""
        return smoothed_cross_entropy(logits, targets, self.label_smoothing)

"""Cross entropy between the prototype probabilities of hidden patches and their prediction."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def patch_cross_entropy(logits: Tensor, targets: Tensor, weights: Tensor, temperature: float) -> Tensor:
    r"""Weighted cross entropy of hidden patches (iBOT, arXiv:2111.07832, Eq. 2; DINOv2, arXiv:2304.07193, section 4).

    ``- sum_p w_p sum_c t_pc log softmax(logits_p / temperature)_c``. No tensor is larger than the logits.

    Args:
        logits: (P, C), the student's logits of the P hidden patches of a batch.
        targets: (P, C), probabilities, without gradient.
        weights: (P,), share of each patch in the loss, see ``HiddenPatches``.
        temperature: Divisor of the logits, > 0.

    Returns:
        Scalar; 0 if no patch is hidden.
    """
    log_q = log_softmax(logits / temperature, dim=-1)
    return -(weights.to(log_q.dtype) * (targets * log_q).sum(dim=-1)).sum()


@LOSSES.register_module()
class PatchCrossEntropyLoss(nn.Module):
    """Loss of the hidden patches in iBOT and DINOv2, see ``patch_cross_entropy``.

    Args:
        temperature: Divisor of the student's logits; 0.1 in both methods.
        weight: Factor of the loss.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.1, weight: float = 1.0) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature
        self.weight = weight

    def forward(self, logits: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
        """Returns the loss, a scalar, of logits (P, C), targets (P, C) and weights (P,)."""
        return self.weight * patch_cross_entropy(logits, targets, weights, self.temperature)

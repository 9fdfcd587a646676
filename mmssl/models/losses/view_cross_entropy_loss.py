"""Cross entropy between the prototype probabilities of one view and their prediction from another view."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import log_softmax

from mmssl.models.losses.numerics import check_temperature, in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def view_cross_entropy(logits: Tensor, targets: Tensor, temperature: float) -> Tensor:
    r"""Swapped prediction over all pairs of different views (DINO, arXiv:2104.14294, Eq. 3; SwAV, arXiv:2006.09882).

    The mean of ``-sum_c p_ic log q_jc`` over the images and the T (V - 1) pairs of views i != j, with the targets p of
    view i and ``q = softmax(logits / temperature)`` of view j. Views are summed first, so no tensor is larger than the
    logits.

    Args:
        logits: (V, N, C), logits of all views; the views that have targets come first.
        targets: (T, N, C), probabilities for the first T <= V views, without gradient.
        temperature: Divisor of the logits, > 0.

    Returns:
        Scalar.

    Raises:
        ValueError: There are more targets than views, no target, or only one view.
    """
    num_views, num_targets = len(logits), len(targets)
    if not 0 < num_targets <= num_views or num_views < 2:
        raise ValueError(f'a loss between views needs V >= 2 views and 1 to V targets, got {num_views}, {num_targets}')
    log_q = log_softmax(logits / temperature, dim=-1)
    every_pair = targets.sum(dim=0) * log_q.sum(dim=0)  # (N, C)
    own_view = targets * log_q[:num_targets]  # (T, N, C), the pairs i = j
    return (own_view.sum() - every_pair.sum()) / (num_targets * (num_views - 1) * logits.shape[1])


@LOSSES.register_module()
class ViewCrossEntropyLoss(nn.Module):
    """Loss of DINO and SwAV, see ``view_cross_entropy``.

    Args:
        temperature: Divisor of the student's logits; 0.1 in both methods.

    Raises:
        ValueError: ``temperature`` is not positive.
    """

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        check_temperature(temperature)
        self.temperature = temperature

    def forward(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Returns the loss, a scalar, of logits (V, N, C) and targets (T, N, C)."""
        return view_cross_entropy(logits, targets, self.temperature)

"""The three terms of CARE."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from mmssl.models.losses.cosine_regression_loss import cosine_regression
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def stream_distance(c_stream: Tensor, t_stream: Tensor) -> Tensor:
    """Mean squared difference of the normalised streams, by which the T-stream supervises the C-stream.

    The mean is over images and over dimensions, so D times this is the mean squared distance of the unit vectors.

    Args:
        c_stream: (N, D).
        t_stream: (N, D), it receives no gradient.

    Returns:
        Scalar in [0, 4 / D].
    """
    return mse_loss(normalize(c_stream, dim=1), normalize(t_stream.detach(), dim=1))


def care(f1: Tensor, f2: Tensor, f3: Tensor, f4: Tensor, attention_weight: float = 100.0) -> dict[str, Tensor]:
    """The loss of CARE (Ge et al., 2021, arXiv:2110.05340) for one direction, in the scale of the official code.

    The part of the last term that compares the teacher's streams moves nothing, as the teacher has no gradient; it is
    there for the reported value.

    Args:
        f1: (N, D), the student's C-stream prediction of one view.
        f2: (N, D), the teacher's C-stream projection of the other view.
        f3: (N, D), the student's T-stream prediction of the one view.
        f4: (N, D), the teacher's T-stream projection of the other view.
        attention_weight: Weight of the third term.

    Returns:
        ``loss_c`` = 2 - 2 cos(f1, f2) and ``loss_t`` = 2 - 2 cos(f3, f4), means over the batch, and
        ``loss_attention`` = attention_weight * (mse(f1, f3) + mse(f2, f4)) of normalised vectors.
    """
    return dict(
        loss_c=cosine_regression(f1, f2),
        loss_t=cosine_regression(f3, f4),
        loss_attention=attention_weight * (stream_distance(f1, f3) + stream_distance(f2, f4)),
    )


@LOSSES.register_module()
class CARELoss(nn.Module):
    """CARE's loss of one direction, see ``care``.

    Args:
        attention_weight: Weight of the term in which the T-stream supervises the C-stream; 100 in the official code,
            which is 100 / D per squared distance of the unit vectors.
    """

    def __init__(self, attention_weight: float = 100.0) -> None:
        super().__init__()
        self.attention_weight = attention_weight

    def forward(self, f1: Tensor, f2: Tensor, f3: Tensor, f4: Tensor) -> dict[str, Tensor]:
        """Returns the three terms, scalars, of student and teacher C-stream f1, f2 and T-stream f3, f4, (N, D) each."""
        return care(f1, f2, f3, f4, self.attention_weight)

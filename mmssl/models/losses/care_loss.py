"""The three loss terms of CARE."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import mse_loss, normalize

from mmssl.models.losses.cosine_regression_loss import cosine_regression
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def stream_distance(c_stream: Tensor, t_stream: Tensor) -> Tensor:
    """Mean squared difference of the normalised streams, with which the T-stream supervises the C-stream.

    The mean is over images and over dimensions, so D times this value is the mean squared distance of the unit vectors.

    Args:
        c_stream: (N, D), embeddings of the C-stream.
        t_stream: (N, D), embeddings of the T-stream; they receive no gradient.

    Returns:
        Scalar in [0, 4 / D].
    """
    return mse_loss(normalize(c_stream, dim=1), normalize(t_stream.detach(), dim=1))


def care(f1: Tensor, f2: Tensor, f3: Tensor, f4: Tensor, attention_weight: float = 100.0) -> dict[str, Tensor]:
    """The loss of CARE (Ge et al., 2021, arXiv:2110.05340) for one direction, in the scale of the official code.

    The part of the last term that compares the teacher's two streams has no gradient; it only changes the reported
    value.

    Args:
        f1: (N, D), prediction from the student's C-stream of the first view.
        f2: (N, D), projection of the teacher's C-stream of the second view.
        f3: (N, D), prediction from the student's T-stream of the first view.
        f4: (N, D), projection of the teacher's T-stream of the second view.
        attention_weight: Weight of the third term.

    Returns:
        ``loss_c`` = 2 - 2 cos(f1, f2) and ``loss_t`` = 2 - 2 cos(f3, f4), means over the batch, and
        ``loss_attention`` = attention_weight * (mse(f1, f3) + mse(f2, f4)) for normalised vectors,
        where mse is a mean over images and dimensions.
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
            which is a weight of 100 / D for the squared distance of the unit vectors.
    """

    def __init__(self, attention_weight: float = 100.0) -> None:
        super().__init__()
        self.attention_weight = attention_weight

    def forward(self, f1: Tensor, f2: Tensor, f3: Tensor, f4: Tensor) -> dict[str, Tensor]:
        """Returns the three terms of the loss, scalars; all arguments (N, D), see ``care``."""
        return care(f1, f2, f3, f4, self.attention_weight)

"""SimCLR's loss: the normalised temperature-scaled cross entropy."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from mmssl.distributed.collectives import gather, rank
from mmssl.models.losses.numerics import check_temperature, in_full_precision, l2_normalize
from mmssl.registry import LOSSES


@in_full_precision
def nt_xent(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """NT-Xent (Chen et al., 2020, arXiv:2002.05709, Eq. 1): each view is classified among all other views.

    The correct class of a view is the other view of the same image. Every process compares its own 2N views with the 2M
    views of all processes.

    Args:
        first: (N, D), embeddings of the first views; row n of both arguments is the same image.
        second: (N, D), embeddings of the second views.
        temperature: Divisor of the cosine similarities, > 0.

    Returns:
        Scalar: mean over the first views plus mean over the second views, the scale of the official code. Half of it
        is the paper's mean over all 2N anchors.
    """
    first, second = l2_normalize(first), l2_normalize(second)
    all_first, all_second = gather(torch.stack((first, second), dim=1)).unbind(dim=1)  # (M, D) each
    own = torch.arange(len(first), device=first.device) + len(first) * rank()

    def one_direction(anchors: Tensor, same_view: Tensor, partners: Tensor) -> Tensor:
        to_same_view = anchors @ same_view.T / temperature  # (N, M)
        to_same_view = to_same_view.scatter(1, own[:, None], -torch.inf)  # an anchor is not compared with itself
        return cross_entropy(torch.cat((anchors @ partners.T / temperature, to_same_view), dim=1), own)

    return one_direction(first, all_first, all_second) + one_direction(second, all_second, all_first)


@LOSSES.register_module()
class NTXentLoss(nn.Module):
    """SimCLR's loss, see ``nt_xent``.

    Args:
        temperature: Divisor of the cosine similarities; the official code has 0.1 for ImageNet and 0.5 for CIFAR.
        reduction: ``'sum'`` adds the losses of the two directions, as the official code does; ``'mean'`` averages them,
            as the paper does, which halves loss and gradient.

    Raises:
        ValueError: ``temperature`` is not positive, or ``reduction`` is neither ``'sum'`` nor ``'mean'``.
    """

    def __init__(self, temperature: float = 0.1, reduction: str = 'sum') -> None:
        super().__init__()
        check_temperature(temperature)
        if reduction not in ('sum', 'mean'):
            raise ValueError(f"reduction must be 'sum' (official code) or 'mean' (paper), got {reduction!r}")
        self.temperature = temperature
        self.weight = 1.0 if reduction == 'sum' else 0.5

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the loss, a scalar, for embeddings (N, D) of the two views."""
        return self.weight * nt_xent(first, second, self.temperature)

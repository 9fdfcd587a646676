"""Loss that pulls the cross-correlation matrix of two views towards the identity matrix."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.distributed.collectives import sum_over_processes, world_size
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def cross_correlation(first: Tensor, second: Tensor) -> Tensor:
    """Cross-correlation matrix of the dimensions of two views, over the images of all processes.

    Args:
        first: (N, D), embeddings of the first views. Each dimension must have mean 0 and variance 1 over all processes,
            as the output of a synchronised batch norm has.
        second: (N, D), embeddings of the second views, standardised in the same way; row n of both arguments is the
            same image.

    Returns:
        (D, D), the same on every process, with gradient to the embeddings of all processes.
    """
    return sum_over_processes(first.T @ second) / (len(first) * world_size())


@in_full_precision
def barlow_twins(first: Tensor, second: Tensor, redundancy_weight: float) -> Tensor:
    """Barlow Twins' loss (Zbontar et al., 2021, arXiv:2103.03230, Eq. 1).

    ``sum_i (1 - C_ii)^2 + redundancy_weight * sum_{i != j} C_ij^2`` with the cross-correlation C.

    Args:
        first: (N, D), standardised embeddings of the first views, see ``cross_correlation``.
        second: (N, D), standardised embeddings of the second views.
        redundancy_weight: The paper's lambda, >= 0.

    Returns:
        Scalar, not divided by D: 0 at best, D for constant embeddings.
    """
    correlation = cross_correlation(first, second)
    invariance = (1 - correlation.diagonal()).square().sum()
    redundancy = correlation.fill_diagonal_(0).square().sum()  # in place: saves a second D x D matrix
    return invariance + redundancy_weight * redundancy


@LOSSES.register_module()
class BarlowTwinsLoss(nn.Module):
    """Barlow Twins' loss, see ``barlow_twins``.

    Args:
        redundancy_weight: Weight of the squared correlations between different dimensions, >= 0.
        grad_scale: ``'exact'`` gives the gradient of the loss for any number of processes. ``'official'`` divides the
            gradient by the number of processes. So does the official code, whose sum over processes carries no
            gradient; its learning rate of biases and norms and its weight decay are tuned for that gradient with 16
            processes.

    Raises:
        ValueError: ``grad_scale`` is neither ``'exact'`` nor ``'official'``.
    """

    def __init__(self, redundancy_weight: float = 0.0051, grad_scale: str = 'exact') -> None:
        super().__init__()
        if grad_scale not in ('exact', 'official'):
            raise ValueError(f"grad_scale must be 'exact' or 'official' (1 / processes), got {grad_scale!r}")
        self.redundancy_weight = redundancy_weight
        self.grad_scale = grad_scale

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Returns the loss, a scalar, for standardised embeddings (N, D) of the two views."""
        loss = barlow_twins(first, second, self.redundancy_weight)
        if self.grad_scale == 'official':
            return loss.detach() + (loss - loss.detach()) / world_size()
        return loss

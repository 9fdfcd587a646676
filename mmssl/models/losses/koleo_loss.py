"""A loss that spreads the features of a batch evenly."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from mmssl.distributed.collectives import gather, rank, world_size
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES

EPSILON = 1e-8


@in_full_precision
def koleo(features: Tensor, group_size: int | None = None) -> Tensor:
    r"""Kozachenko-Leonenko estimate of the negative entropy (Sablayrolles et al., 2019, arXiv:1806.03198, Eq. 3).

    ``-1/N sum_i log(|x_i - x_j + eps| + eps)`` for rows x of unit length, where x_j is the row nearest to x_i among the
    others of its group, and eps = 1e-8 as in the code of DINOv2 (arXiv:2304.07193). The gradient reaches both rows.

    Args:
        features: (N, D).
        group_size: Number of successive rows of a process among which the nearest is searched; it divides N. None
            searches the rows of all processes.

    Returns:
        Scalar, mean over the rows.
    """
    unit = normalize(features, dim=1, eps=EPSILON)
    if group_size is None:
        anchors, candidates, offset = unit[None], gather(unit)[None], rank() * len(unit)
    else:
        anchors = candidates = unit.unflatten(0, (-1, group_size))  # (groups, rows, D)
        offset = 0
    with torch.no_grad():
        similarity = anchors @ candidates.mT
        similarity.diagonal(offset, dim1=1, dim2=2).fill_(-torch.inf)  # a row is no neighbour of itself
        nearest = similarity.argmax(dim=2, keepdim=True).expand(-1, -1, unit.shape[1])
    distance = (anchors - candidates.gather(1, nearest) + EPSILON).norm(dim=2)
    return -(distance + EPSILON).log().mean()


@LOSSES.register_module()
class KoLeoLoss(nn.Module):
    """Loss of DINOv2 that spreads the class tokens, see ``koleo``.

    Args:
        weight: Factor of the loss.
        group_size: Number of successive images of a process among which the nearest is searched: the official code
            takes the images of a GPU. None searches all images of the step, on all processes.

    Raises:
        ValueError: ``group_size`` is less than 2.
    """

    def __init__(self, weight: float = 0.1, group_size: int | None = None) -> None:
        super().__init__()
        if group_size is not None and group_size < 2:
            raise ValueError(f'group_size must be at least 2, the image and another one, got {group_size}')
        self.weight = weight
        self.group_size = group_size

    def forward(self, features: Tensor) -> Tensor:
        """Returns the loss, a scalar, of features (N, D).

        Raises:
            ValueError: ``group_size`` does not divide N, or there is one image only.
        """
        if problem := self.wrong_batch(len(features)):
            raise ValueError(problem)
        return self.weight * koleo(features, self.group_size)

    def wrong_batch(self, images: int) -> str | None:
        """Returns why a batch of so many images per process is not possible; None if it is."""
        if images * world_size() < 2:
            return 'KoLeo compares an image with another one, so a batch of 1 is too small'
        if self.group_size is None or images % self.group_size == 0:
            return None
        return f'group_size={self.group_size} must divide the {images} images of a process'

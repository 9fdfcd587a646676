"""AMDIM's loss: InfoNCE between a vector of one view and all positions of a map of the other."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mmssl.distributed.collectives import gather, rank
from mmssl.models.losses.numerics import in_full_precision
from mmssl.registry import LOSSES


@in_full_precision
def local_info(sources: Tensor, maps: Tensor, clip: float, penalty: float) -> Tensor:
    """InfoNCE of AMDIM (Bachman et al., 2019, arXiv:1906.00910, section 3.3 and 3.4), one direction and two scales.

    The score of a source and a position is their dot product / sqrt(D), softly clipped: ``clip tanh(score / clip)``.
    Every position of the own image is classified against all positions of all other images; the other positions of the
    own image are left out. The mean square of all scores, before the clip, is added.

    Args:
        sources: (N, D), vectors of one view.
        maps: (N, D, H, W), map of the other view, of the same images.
        clip: Largest absolute score, > 0.
        penalty: Weight of the mean square of the scores.

    Returns:
        Scalar, mean over images and positions; ln(1 + (M - 1) H W) for scores of 0, with M images on all processes.
    """
    targets = gather(maps.flatten(2))  # (M, D, P)
    scores = torch.einsum('nd,mdp->nmp', sources, targets) / sources.shape[1] ** 0.5  # (N, M, P)
    square = scores.square().mean()
    scores = clip * torch.tanh(scores / clip)
    own = torch.arange(len(sources), device=sources.device) + len(sources) * rank()
    positives = torch.take_along_dim(scores, own[:, None, None], dim=1)[:, 0]  # (N, P)
    others = scores.scatter(1, own[:, None, None].expand(-1, -1, scores.shape[2]), -torch.inf)
    negatives = others.flatten(1).logsumexp(dim=1, keepdim=True)  # (N, 1)
    return (torch.logaddexp(positives, negatives) - positives).mean() + penalty * square


@LOSSES.register_module()
class LocalInfoLoss(nn.Module):
    """AMDIM's loss of one direction and two scales, see ``local_info``.

    Args:
        clip: Largest absolute score.
        penalty: Weight of the mean square of the scores.

    Raises:
        ValueError: ``clip`` is not positive.
    """

    def __init__(self, clip: float = 20.0, penalty: float = 0.05) -> None:
        super().__init__()
        if clip <= 0:
            raise ValueError(f'clip must be positive, got {clip}')
        self.clip, self.penalty = clip, penalty

    def forward(self, sources: Tensor, maps: Tensor) -> Tensor:
        """Returns the loss, a scalar, of sources (N, D) and maps (N, D, H, W)."""
        return local_info(sources, maps, self.clip, self.penalty)

"""Grad-CAM as a differentiable function of the features."""

from __future__ import annotations

import torch
from torch import Tensor


def grad_cam(scores: Tensor, maps: Tensor) -> Tensor:
    """Weights the channels of a map by the gradient of a score (Selvaraju et al., 2017, arXiv:1610.02391, Eqs. 1, 2).

    With A the map, c its channels and s the score of an image: ``M = sum_c mean(ds / dA_c) A_c``, without the ReLU. The
    result can be differentiated once more.

    Args:
        scores: (N,), computed from ``maps`` image by image.
        maps: (N, C, H, W), with a graph.

    Returns:
        M, (N, H, W).
    """
    (gradient,) = torch.autograd.grad(scores.sum(), maps, create_graph=True)
    return (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1)


def scale_to_unit(maps: Tensor, eps: float = 1e-7) -> Tensor:
    """Scales maps (N, H, W), one by one, to the range from 0 to 1: ``(M - min) / (max - min + eps)``."""
    maps = maps - maps.amin(dim=(1, 2), keepdim=True)
    return maps / (maps.amax(dim=(1, 2), keepdim=True) + eps)

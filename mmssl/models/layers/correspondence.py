"""Which positions of two maps belong together."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize

from mmssl.models.losses.numerics import in_full_precision


@torch.no_grad()
@in_full_precision
def match_positions(queries: Tensor, keys: Tensor) -> Tensor:
    """Finds for each position of one map the most similar position of another (DenseCL, arXiv:2011.09157, Eq. 3).

    Similarities are computed in full precision: rounded to bfloat16 many would be equal, and the first position would
    win.

    Args:
        queries: (N, C, H, W), map of one view; vectors need not have unit length.
        keys: (N, C, h, w), map of another view of the same images.

    Returns:
        (N, H * W) int64, positions in 0 to h * w - 1 in row-major order: the one of the largest cosine similarity.
    """
    queries, keys = (normalize(maps.flatten(2), dim=1) for maps in (queries, keys))  # (N, C, L)
    return (queries.transpose(1, 2) @ keys).argmax(dim=2)

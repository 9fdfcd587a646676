"""Views of several sizes through one backbone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector


def encode_views(backbone: nn.Module, views: Sequence[Tensor]) -> Tensor:
    """Encodes multi-crop views with one forward per run of equal sizes, so 2 + 8 views take two.

    The views of a forward share the statistics of norm layers, as in the official codes of SwAV and DINO.

    Args:
        backbone: Returns what ``to_vector`` takes.
        views: V batches (N, 3, H, W), global views first.

    Returns:
        (V * N, D), view after view.
    """
    sizes = groupby(views, key=lambda view: view.shape[-2:])
    return torch.cat([to_vector(backbone(torch.cat(list(group)))) for _, group in sizes])

"""Encoding of views of several sizes by one backbone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from mmssl.models.layers.pooling import to_vector


def encode_views(backbone: Callable[[Tensor], Any], views: Sequence[Tensor]) -> Tensor:
    """Encodes multi-crop views with one forward pass per size, so 2 + 8 views take two passes.

    Adjacent views of the same size are encoded together and share the statistics of norm layers, as in the official
    codes of SwAV and DINO.

    Args:
        backbone: Backbone, or function of images, whose output ``to_vector`` accepts.
        views: V batches (N, 3, H, W), global views first, so that views of one size are adjacent.

    Returns:
        Features (V * N, D), one view after the other.
    """
    sizes = groupby(views, key=lambda view: view.shape[-2:])
    return torch.cat([to_vector(backbone(torch.cat(list(group)))) for _, group in sizes])

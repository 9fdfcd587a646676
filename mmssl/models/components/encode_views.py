"""Encoding of several views of the same images: in one pass or one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_map

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


def embed_views(parts: Sequence[nn.Module], views: Sequence[Tensor], joint: bool | str = 'auto') -> list[Any]:
    """Applies parts such as backbone and neck, one after the other, to each view.

    Views of the same size can pass a part as one batch, which takes fewer and larger operations. That changes no number
    unless the part has batch norms, whose statistics are then those of all views.

    Args:
        parts: Modules; a batch in their inputs and outputs is the first dimension of every tensor.
        views: V batches (N, 3, H, W).
        joint: ``'auto'`` lets views pass together up to the first part with batch norms, True through all parts, and
            False through none. Views of different sizes always pass one after the other.

    Returns:
        The output of the last part for each view.
    """
    ahead = _num_joint(parts, joint) if len({view.shape for view in views}) == 1 and len(views) > 1 else 0
    features: list[Any] = list(views)
    if ahead:
        together: Any = torch.cat(features)
        for part in parts[:ahead]:
            together = part(together)
        features = [_share(together, index, len(views)) for index in range(len(views))]
    for index, feature in enumerate(features):
        for part in parts[ahead:]:
            feature = part(feature)
        features[index] = feature
    return features


def _num_joint(parts: Sequence[nn.Module], joint: bool | str) -> int:
    if joint != 'auto':
        return len(parts) if joint else 0
    coupled = [any(isinstance(module, _BatchNorm) for module in part.modules()) for part in parts]
    return [*coupled, True].index(True)


def _share(outputs: Any, index: int, count: int) -> Any:
    return tree_map(lambda tensor: tensor.chunk(count)[index] if isinstance(tensor, Tensor) else tensor, outputs)

"""Features as colours."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def feature_colors(features: Tensor, reference: Tensor) -> Tensor:
    """Projects features to the first three principal components of a reference, which become red, green and blue.

    All features are scaled to unit length first. Similar features have similar colours; the colours themselves mean
    nothing.

    Args:
        features: (N, L, P).
        reference: (N, L, P), such as the features that were to be predicted; its components are used.

    Returns:
        (N, L, 3), in [-2, 2], about the range of normalised images; [-1, 1] spans one standard deviation of the
        reference.
    """
    vectors, found = normalize(reference.float(), dim=-1).flatten(0, 1), normalize(features.float(), dim=-1)
    center = vectors.mean(dim=0)
    directions = torch.linalg.svd(vectors - center, full_matrices=False)[2][:3]  # (3, P)
    deviation = ((vectors - center) @ directions.T).std(dim=0).clamp(min=1e-6)
    return ((found - center) @ directions.T / deviation).clamp(-2, 2)

"""Pooling of maps to one vector per image, for methods without a projector."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector
from mmssl.registry import NECKS


@NECKS.register_module()
class GlobalAveragePooling(nn.Module):
    """Averages the last map of a backbone over its positions.

    It takes the place of the projector in an ablation: losses take vectors, and ``Identity`` leaves them maps.
    """

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns vectors (N, D) for the output of a backbone: maps (N, D, H, W), a tuple of them, or vectors."""
        return to_vector(features)

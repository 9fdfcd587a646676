"""iBOT's projection head with separate prototypes for images and for patches."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.necks.dino_projector import DINOProjector, prototypes
from mmssl.registry import NECKS


@NECKS.register_module()
class IBOTProjector(DINOProjector):
    """``DINOProjector`` whose MLP serves images and patches, with a last layer for each (iBOT, arXiv:2111.07832).

    The published models share the last layer too, which is a ``DINOProjector``.

    Args:
        in_channels: Width of the features.
        hidden_channels: Width of every layer but the last.
        out_channels: Number of prototypes of images.
        patch_channels: Number of prototypes of patches.
        bottleneck_channels: Width of the vector that is scaled to unit length.
        freeze_gain: Whether the gains of both last layers stay 1; the official ``norm_last_layer``.
        **options: Further arguments of ``DINOProjector``.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        patch_channels: int,
        bottleneck_channels: int = 256,
        freeze_gain: bool = True,
        **options: Any,
    ) -> None:
        options |= dict(bottleneck_channels=bottleneck_channels, freeze_gain=freeze_gain)
        super().__init__(in_channels, hidden_channels, out_channels, **options)
        self.patch_channels = patch_channels
        self.patch_layer = prototypes(bottleneck_channels, patch_channels, freeze_gain)

    def patch_logits(self, embedded: Tensor) -> Tensor:
        """Returns logits (P, patch_channels) for the results (P, bottleneck_channels) of ``embed_patches``."""
        return self.patch_layer(embedded)

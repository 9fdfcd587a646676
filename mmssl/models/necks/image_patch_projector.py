"""Projection heads of images and of patches."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor

from mmssl.models.necks.dino_projector import DINOProjector
from mmssl.registry import NECKS


@NECKS.register_module()
class ImagePatchProjector(BaseModule):
    """One ``DINOProjector`` for images and one for patches, or one for both (DINOv2, arXiv:2304.07193, section 6.1).

    Args:
        images: Arguments of the ``DINOProjector`` of images.
        patches: Arguments of the ``DINOProjector`` of patches; None ties both heads.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, images: dict, patches: dict | None = None, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.images = DINOProjector(**images)
        if patches is not None:
            self.patches = DINOProjector(**patches)
        self.out_channels = self.images.out_channels
        self.patch_channels = self._of_patches().out_channels

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns logits (N, out_channels) of images for the output of a backbone, or for vectors (N, in_channels)."""
        return self.images(features)

    def embed_patches(self, features: Tensor) -> Tensor:
        """Returns vectors of unit length (P, bottleneck_channels) for patches (P, in_channels)."""
        return self._of_patches().embed_patches(features)

    def patch_logits(self, embedded: Tensor) -> Tensor:
        """Returns logits (P, patch_channels) for the results (P, bottleneck_channels) of ``embed_patches``."""
        return self._of_patches().last_layer(embedded)

    def _of_patches(self) -> Any:
        return getattr(self, 'patches', self.images)

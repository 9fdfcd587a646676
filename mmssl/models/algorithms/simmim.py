"""SimMIM."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.models.layers.patches import patchify
from mmssl.registry import ALGORITHMS, MASKERS, TARGETS


@ALGORITHMS.register_module()
class SimMIM(BaseAlgorithm):
    """A Simple Framework for Masked Image Modeling (Xie et al., 2022, arXiv:2111.09886, Fig. 1).

    The backbone sees all patches, the hidden ones replaced by one learned token, and returns maps; ``neck`` is the
    decoder from the last map to an image, ``head`` the loss.

    Args:
        masker: Config of what draws the mask, in patches of the backbone.
        target: Config of what is predicted of such a patch.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    views = Views(1)

    def __init__(self, *, masker: dict, target: dict, **slots: Any) -> None:
        super().__init__(**slots)
        self.masker = MASKERS.build(masker)
        self.target = TARGETS.build(target)
        token = torch.empty(1, 1, self.backbone.embed_dim)
        self.mask_token = nn.Parameter(trunc_normal_(token, std=0.02, a=-0.02, b=0.02))

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean error over the hidden patches of one view (N, 3, H, W)."""
        (images,) = views
        mask, prediction = self.reconstruct(images)
        return dict(loss=self.head(prediction, self.target(images), mask))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Hides patches of images (N, 3, H, W) and predicts all.

        Returns:
            The mask (N, L) bool, True = hidden, and the prediction (N, L, P) of the target.
        """
        mask = self.masker(images)  # (N, L)
        maps = self.backbone(images, mask=mask, mask_token=self.mask_token)
        return mask, patchify(self.neck(maps), self.masker.patch_size)

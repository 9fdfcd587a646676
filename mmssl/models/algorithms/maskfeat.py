"""MaskFeat."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.layers.patches import select_patches
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MaskFeat(MaskedAlgorithm):
    """Masked Feature Prediction (Wei et al., 2022, arXiv:2112.09133, Fig. 2).

    The backbone sees all patches; a learned token replaces the hidden ones. ``neck`` predicts a feature of each hidden
    patch, ``head`` is the loss. The norm before the official head is the backbone's last norm here. If fewer patches
    are hidden than the largest number, visible patches fill up the tensor; they are not part of the loss.

    Args:
        masker: Config of the masker.
        target: Config of the target, which is predicted for each patch.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    feature = 'mean'  # fine-tuned features: no loss reaches the class token
    mask_token_cut = 2.0

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean error over the hidden patches for one view (N, 3, H, W)."""
        (images,) = views
        mask = self.masker(images)  # (N, L)
        hidden = self.masker.hidden(mask)  # (N, K), K static
        tokens = self.backbone(images, mask=mask, mask_token=self.mask_token)  # (N, 1 + L, D)
        features = select_patches(self.target(images), hidden)  # (N, K, P)
        return dict(loss=self.head(self.neck(tokens, hidden), features, mask.gather(1, hidden)))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a mask (N, L), True = hidden, and the prediction (N, L, P) of every patch for images (N, 3, H, W)."""
        mask = self.masker(images)
        tokens = self.backbone(images, mask=mask, mask_token=self.mask_token)
        everywhere = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
        return mask, self.neck(tokens, everywhere)

"""Masked distillation: MVP, EVA, and any other frozen network as teacher."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.algorithms.views import Views
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MaskedDistillation(MaskedAlgorithm):
    """Prediction of a frozen network's features (MVP, Wei et al., 2022, arXiv:2203.05175; EVA, Fang et al., 2023,
    arXiv:2211.07636).

    The backbone sees all patches; a learned token replaces the hidden ones. ``neck`` predicts the features of every
    patch, and ``head`` compares them with the teacher's, at hidden or at all patches.

    Args:
        masker: Config of the masker, with the ``patch_size`` of the backbone.
        target: Config of the teacher: ``CLIPTarget`` or ``FeatureTarget``.
        **slots: Arguments of ``BaseAlgorithm``; the backbone returns tokens.
    """

    views = Views(1, rendering=True)
    needs_tokens = True
    feature = 'mean'  # no loss reaches the class token
    mask_token_cut = 2.0

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss.

        Args:
            views: Images (N, 3, H, W), and optionally another rendering of the images for the teacher.
            data_samples: Not used.
        """
        mask, prediction = self.reconstruct(views[0])
        return dict(loss=self.head(prediction, self.target(views[-1]), mask))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a mask (N, L), True = hidden, and the prediction (N, L, P) of every patch for images (N, 3, H, W)."""
        mask = self.masker(images)  # (N, L)
        tokens = self.backbone(images, mask=mask, mask_token=self.mask_token)  # (N, 1 + L, D)
        everywhere = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
        return mask, self.neck(tokens, everywhere)

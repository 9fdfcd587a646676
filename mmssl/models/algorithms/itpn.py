"""iTPN with pixels as the target."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.components.masked_feature_modelling import MaskedFeatureModelling
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class ITPN(MaskedAlgorithm):
    """Integrally Pre-Trained Transformer Pyramid Networks (Tian et al., 2023, arXiv:2211.12735v1), pixel target.

    Encoder and pyramid see the visible units only; a decoder predicts the pixels of the hidden units from all levels of
    the pyramid. ``neck`` contains pyramid and decoder, ``head`` is the loss.

    Args:
        mfm: Whether features are predicted too: True, or arguments of ``MaskedFeatureModelling``, this project's
            interpretation of a part that the authors have not released.
        **slots: Arguments of ``MaskedAlgorithm``; ``masker`` hides the same number of units in every image.
    """

    def __init__(self, *, mfm: bool | dict = False, **slots: Any) -> None:
        super().__init__(**slots)
        options = mfm if isinstance(mfm, dict) else {}
        self.mfm = None if mfm is False else MaskedFeatureModelling(self.backbone, self.neck.embed_dim, **options)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean errors over the hidden units for one view (N, 3, H, W)."""
        (images,) = views
        mask, tokens = self.encode(images)
        losses = dict(loss=self.head(self.neck.predict(tokens), self.target(images), mask))
        if self.mfm is not None:
            losses['loss_features'] = self.mfm(tokens, images, mask)
        return losses

    def encode(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Hides units of images (N, 3, H, W); returns the mask (N, L) and the decoder's tokens (N, L, D)."""
        mask = self.masker(images)  # (N, L) bool, True = hidden
        keep = self.masker.visible(mask)  # (N, K)
        stages = self.backbone(images, keep=keep)  # (N, K, 4, 4, C / 4), (N, K, 2, 2, C / 2), (N, K, C)
        return mask, self.neck.decode(stages, keep)

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns a mask (N, L), True = hidden, and the prediction (N, L, P) of the target for images (N, 3, H, W)."""
        mask, tokens = self.encode(images)
        return mask, self.neck.predict(tokens)

    def reconstruct_levels(self, images: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Returns a mask (N, L), and predictions (N, L, P) from each level alone and from all levels, by name."""
        mask = self.masker(images)
        keep = self.masker.visible(mask)
        levels = self.neck.decode_levels(self.backbone(images, keep=keep), keep)
        return mask, {name: self.neck.predict(tokens) for name, tokens in levels.items()}

    def on_train_start(self) -> None:
        """Copies the backbone into the teacher, if features are predicted."""
        if self.mfm is not None:
            self.mfm.teacher.copy_from(backbone=self.backbone)

    def on_step_end(self, progress: float) -> None:
        """Updates the teacher, if there is one."""
        if self.mfm is not None:
            self.mfm.teacher.update(progress, backbone=self.backbone)

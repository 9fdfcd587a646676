"""MAE."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MAE(MaskedAlgorithm):
    """Masked Autoencoders Are Scalable Vision Learners (He et al., 2022, arXiv:2111.06377, Fig. 1).

    The backbone sees the visible patches only, ``neck`` is the decoder, ``head`` the loss. Visible patches are in the
    order of the image; in the official code they are in the order of the random noise, which makes no difference to
    attention.

    Args:
        masker: Config of the masker, which must hide the same number of patches in every image.
        target: Config of the target, which is predicted for each patch.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean error over the hidden patches for one view (N, 3, H, W)."""
        (images,) = views
        mask, prediction = self.reconstruct(images)
        return dict(loss=self.head(prediction, self.target(images), mask))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Hides patches of images (N, 3, H, W) and predicts all patches.

        Returns:
            The mask (N, L) bool, True = hidden, and the prediction (N, L, P) of the target.
        """
        mask = self.masker(images)  # (N, L)
        keep = self.masker.visible(mask)  # (N, K)
        latent = self.backbone(images, keep=keep)  # (N, 1 + K, D), class token first
        return mask, self.neck(latent, keep)

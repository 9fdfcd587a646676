"""MAE."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class MAE(MaskedAlgorithm):
    """Masked Autoencoders Are Scalable Vision Learners (He et al., 2022, arXiv:2111.06377, Fig. 1).

    The backbone sees the visible patches only, ``neck`` is the decoder, ``head`` the loss. Visible patches stay in the
    order of the image, where the official code keeps them in the order of the noise that drew them: attention does not
    see the difference.

    Args:
        masker: Config of what draws the mask, the same number of patches in every image.
        target: Config of what is predicted of a patch.
        **slots: Arguments of ``BaseAlgorithm``.
    """

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
        keep = self.masker.visible(mask)  # (N, K)
        latent = self.backbone(images, keep=keep)  # (N, 1 + K, D), visible patches behind the class token
        return mask, self.neck(latent, keep)

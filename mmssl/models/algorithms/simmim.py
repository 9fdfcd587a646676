"""SimMIM."""

from __future__ import annotations

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.layers.patches import patchify
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class SimMIM(MaskedAlgorithm):
    """A Simple Framework for Masked Image Modeling (Xie et al., 2022, arXiv:2111.09886, Fig. 1).

    The backbone sees all patches, with a learned token instead of the hidden ones, and returns maps. ``neck`` decodes
    the last map to an image, ``head`` is the loss.

    Args:
        masker: Config of the masker, with the ``patch_size`` of the backbone.
        target: Config of the target, which is predicted for each patch.
        **slots: Arguments of ``BaseAlgorithm``.
    """

    mask_token_cut = 0.02

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
        maps = self.backbone(images, mask=mask, mask_token=self.mask_token)
        return mask, patchify(self.neck(maps), self.masker.patch_size)

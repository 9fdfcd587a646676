"""GreenMIM."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class GreenMIM(MaskedAlgorithm):
    """Green Hierarchical Vision Transformer for Masked Image Modeling (Huang et al., 2022, arXiv:2205.13515).

    MAE for Swin: the backbone sees the visible units only, which all images of a batch share; ``neck`` is the decoder,
    ``head`` the loss. The decoder puts every visible token at its own unit; the official code puts them at the visible
    units in a random order, see the card.

    Args:
        masker: Config of a ``SharedMasker``, whose patches are the units.
        target: Config of the target, which is predicted for each unit.
        **slots: Arguments of ``BaseAlgorithm``; the backbone is a ``GroupedSwin``.

    Raises:
        ValueError: The patches of the masker are not the units of the backbone.
    """

    def __init__(self, *, masker: dict, target: dict, **slots: Any) -> None:
        super().__init__(masker=masker, target=target, **slots)
        unit = self.backbone.unit * self.backbone.patch_embed.proj.kernel_size[0]
        if self.masker.patch_size != unit:
            raise ValueError(
                f'model.masker.patch_size={self.masker.patch_size} must be the side of a unit of the backbone, {unit} '
                'pixels'
            )

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the mean error over the hidden units for one view (N, 3, H, W)."""
        (images,) = views
        mask, prediction = self.reconstruct(images)
        return dict(loss=self.head(prediction, self.target(images), mask))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Hides units of images (N, 3, H, W) and predicts all units.

        Returns:
            The mask (N, L) bool, True = hidden, and the prediction (N, L, P) of the target.
        """
        mask = self.masker(images)  # (N, L)
        latent = self.backbone(images, keep=self.masker.positions)  # (N, K, D)
        return mask, self.neck(latent, self.masker.visible(mask))

"""A2MIM."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mmssl.models.algorithms.masked import MaskedAlgorithm
from mmssl.models.components.inner_mask_token import InnerMaskToken
from mmssl.models.layers.patches import patchify, unpatchify
from mmssl.registry import ALGORITHMS


@ALGORITHMS.register_module()
class A2MIM(MaskedAlgorithm):
    """Architecture-Agnostic Masked Image Modeling (Li et al., 2023, arXiv:2205.13943).

    Hidden pixels get the mean colour of their image, and a learned token is added to the hidden positions of an inner
    layer of the backbone, whether it is a convolutional network or a transformer. ``neck`` decodes the last map to an
    image, ``head`` is the loss in the image and in the frequency domain.

    Args:
        mask_token: Arguments of ``InnerMaskToken``.
        **slots: Arguments of ``MaskedAlgorithm``; ``target`` gives the plain pixels.
    """

    batch_coupled = 'mean spectrum'
    unsplit = 'the mask of the batch is added inside the backbone'
    mask_token: InnerMaskToken  # type: ignore[assignment]

    def __init__(self, *, mask_token: dict, **slots: Any) -> None:
        super().__init__(**slots)
        self.mask_token = InnerMaskToken(**mask_token)

    def loss(self, views: list[Tensor], data_samples: dict | None = None) -> dict[str, Tensor]:
        """Returns the loss of one view (N, 3, H, W)."""
        (images,) = views
        mask, prediction = self.reconstruct(images)
        patch, grid = self.masker.patch_size, self.masker.grid(images)
        hidden = mask.unsqueeze(-1).expand(-1, -1, patch**2)
        patches = (prediction, self.target(images), hidden)
        return dict(loss=self.head(*(unpatchify(x, patch, grid) for x in patches)))

    def reconstruct(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Hides patches of images (N, 3, H, W) and predicts all patches.

        Returns:
            The mask (N, L) bool, True = hidden, and the prediction (N, L, P) of the target.
        """
        mask, patch = self.masker(images), self.masker.patch_size  # (N, L)
        with self.mask_token.added(self.backbone, mask, self.masker.grid(images)):
            maps = self.backbone(fill_with_mean(images, mask, patch))
        return mask, patchify(self.neck(maps), patch)


def fill_with_mean(images: Tensor, mask: Tensor, patch_size: int) -> Tensor:
    """Replaces hidden patches with the mean of each channel over the whole image.

    Args:
        images: (N, C, H, W), H and W multiples of ``patch_size``.
        mask: (N, L) bool, True = hidden.
        patch_size: Side of a patch in pixels.

    Returns:
        (N, C, H, W).
    """
    hidden = mask.unsqueeze(-1).expand(-1, -1, patch_size**2)
    hidden = unpatchify(hidden, patch_size, (-1, images.shape[-1] // patch_size))
    return torch.where(hidden, images.mean(dim=(2, 3), keepdim=True), images)

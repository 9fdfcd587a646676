"""Masks drawn patch by patch."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS


def uniform_mask(noise: Tensor, num_hidden: int) -> Tensor:
    """Hides the patches with the largest noise (He et al., 2022, arXiv:2111.06377, Appendix A).

    Args:
        noise: (N, L), one number per patch; only the order of the numbers matters.
        num_hidden: Number of hidden patches of each image.

    Returns:
        (N, L) bool, True = hidden.
    """
    hidden = noise.argsort(dim=1)[:, noise.shape[1] - num_hidden :]
    return torch.zeros_like(noise, dtype=torch.bool).scatter_(1, hidden, True)


@MASKERS.register_module()
class UniformMasker(Masker):
    """Hides the same share of patches in every image; all sets of patches are equally likely (MAE, iTPN).

    Args:
        ratio: Share of hidden patches, in (0, 1); ``int(L * (1 - ratio))`` stay visible, as in the official code.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: ``ratio`` lies outside (0, 1).
    """

    def __init__(self, ratio: float = 0.75, patch_size: int = 16) -> None:
        super().__init__(patch_size)
        if not 0 < ratio < 1:
            raise ValueError(f'ratio, the share of hidden patches, must lie in (0, 1), got {ratio}')
        self.ratio = ratio

    def num_hidden(self, num_patches: int) -> int:
        """Returns the number of hidden patches of an image with ``num_patches`` patches."""
        return num_patches - int(num_patches * (1 - self.ratio))

    def forward(self, images: Tensor) -> Tensor:
        """Returns a mask (N, L) bool, True = hidden, for images (N, 3, H, W).

        Raises:
            ValueError: No patch of an image stays visible.
        """
        num_patches = self.num_patches(images)
        noise = torch.rand(len(images), num_patches, device=images.device)
        return uniform_mask(noise, self.num_hidden(num_patches))

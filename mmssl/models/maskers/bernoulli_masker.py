"""Masks in which every patch is drawn by itself."""

from __future__ import annotations

import torch
from torch import Tensor

from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS


@MASKERS.register_module()
class BernoulliMasker(Masker):
    """Hides every patch with the same probability, independently of the others (BERT, iGPT).

    The number of hidden patches differs between images, so it goes with backbones that take ``mask``, not ``keep``.

    Args:
        ratio: Probability that a patch is hidden, in (0, 1).
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: ``ratio`` lies outside (0, 1).
    """

    varies = True

    def __init__(self, ratio: float = 0.15, patch_size: int = 1) -> None:
        super().__init__(patch_size)
        if not 0 < ratio < 1:
            raise ValueError(f'ratio, the probability that a patch is hidden, must lie in (0, 1), got {ratio}')
        self.ratio = ratio

    def num_hidden(self, num_patches: int) -> int:
        """Returns the largest number of hidden patches: all."""
        return num_patches

    def forward(self, images: Tensor) -> Tensor:
        """Returns a mask (N, L) bool, True = hidden, for images (N, 3, H, W)."""
        rows, columns = self.grid(images)
        return torch.rand(len(images), rows * columns, device=images.device) <= self.ratio

"""One mask for all images of a batch, drawn on the host."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import Tensor

from mmssl.models.layers.device_copy import to_device
from mmssl.models.maskers.masker import Masker
from mmssl.registry import MASKERS


@MASKERS.register_module()
class SharedMasker(Masker):
    """Hides the same patches in all images of a batch (GreenMIM).

    The mask is drawn on the CPU from Python's ``random`` and copied to the device without synchronisation. A backbone
    that sorts visible patches on the host takes them from ``positions``.

    Args:
        ratio: Share of hidden patches, in (0, 1); ``int(L * (1 - ratio))`` stay visible, as in the official code.
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: ``ratio`` lies outside (0, 1).
    """

    def __init__(self, ratio: float = 0.75, patch_size: int = 32) -> None:
        super().__init__(patch_size)
        if not 0 < ratio < 1:
            raise ValueError(f'ratio, the share of hidden patches, must lie in (0, 1), got {ratio}')
        self.ratio = ratio
        self.positions: list[int] = []
        """Positions of the visible patches of the last mask, ascending."""

    def num_hidden(self, num_patches: int) -> int:
        """Returns the number of hidden patches of an image with ``num_patches`` patches."""
        return num_patches - int(num_patches * (1 - self.ratio))

    def forward(self, images: Tensor) -> Tensor:
        """Returns a mask (N, L) bool, True = hidden, with equal rows, for images (N, 3, H, W).

        Raises:
            ValueError: No patch of an image stays visible.
        """
        total = self.num_patches(images)
        self.positions = sorted(random.sample(range(total), total - self.num_hidden(total)))
        hidden = np.ones(total, dtype=bool)
        hidden[self.positions] = False
        return to_device(torch.from_numpy(hidden), images.device).expand(len(images), -1)

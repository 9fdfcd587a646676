"""What draws masks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Masker(nn.Module):
    """Base class: draws which patches of an image are hidden.

    A masker draws and a backbone obeys: ``mask = masker(images)``, then ``backbone(images, keep=masker.visible(mask))``
    or ``backbone(images, mask=mask, mask_token=...)``. What it draws depends on the state of the random generators
    alone, which the training loop seeds at every iteration.

    Args:
        patch_size: Side of a patch in pixels.
    """

    def __init__(self, patch_size: int) -> None:
        super().__init__()
        self.patch_size = patch_size

    def forward(self, images: Tensor) -> Tensor:
        """Draws a mask for every image.

        Args:
            images: (N, 3, H, W).

        Returns:
            (N, L) bool on the device of the images, patches in row-major order, True = hidden.
        """
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define forward()')

    def num_hidden(self, num_patches: int) -> int:
        """Returns how many of ``num_patches`` patches of an image are hidden, or where this varies, at most."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define num_hidden()')

    def visible(self, mask: Tensor) -> Tensor:
        """Returns (N, K) int64, the positions of the visible patches in ascending order.

        Their number K follows from the shape of the mask, so the device is not asked for it. Where the number of
        hidden patches varies, hidden ones fill up the places behind.

        Args:
            mask: (N, L) bool, True = hidden.
        """
        num_patches = mask.shape[1]
        return _first(mask, num_patches - self.num_hidden(num_patches))

    def hidden(self, mask: Tensor) -> Tensor:
        """Returns (N, H) int64, the positions of the hidden patches in ascending order, H = ``num_hidden(L)``.

        Where fewer are hidden, visible ones fill up the places behind: ``mask.gather(1, hidden)`` tells them apart.

        Args:
            mask: (N, L) bool, True = hidden.
        """
        return _first(~mask, self.num_hidden(mask.shape[1]))

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Returns rows and columns of the patches of images (N, 3, H, W); an incomplete patch counts."""
        height, width = images.shape[-2:]
        return -(-height // self.patch_size), -(-width // self.patch_size)


def _first(is_behind: Tensor, count: int) -> Tensor:
    """Positions of the first ``count`` entries of each row that are False, then of those that are True."""
    return is_behind.to(torch.uint8).argsort(dim=1, stable=True)[:, :count]

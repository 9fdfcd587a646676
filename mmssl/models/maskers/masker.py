"""The base class of maskers."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Masker(nn.Module):
    """Base class of maskers, which draw the hidden patches of an image.

    A masker draws the mask and a backbone applies it: ``mask = masker(images)``, then ``backbone(images,
    keep=masker.visible(mask))`` or ``backbone(images, mask=mask, mask_token=...)``. A mask depends only on the state of
    the random number generators, which the training loop seeds at every iteration.

    Args:
        patch_size: Side of a patch in pixels.

    Raises:
        ValueError: ``patch_size`` is less than 1.
    """

    varies = False
    """Whether the number of hidden patches differs between images."""

    def __init__(self, patch_size: int) -> None:
        super().__init__()
        if patch_size < 1:
            raise ValueError(f'patch_size must be at least 1 pixel, got {patch_size}')
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
        """Returns the number of hidden patches of an image with ``num_patches`` patches; the largest, if it varies."""
        raise NotImplementedError(f'abstract: {type(self).__name__} does not define num_hidden()')

    def visible(self, mask: Tensor) -> Tensor:
        """Returns (N, K) int64, the positions of the visible patches in ascending order.

        The number K = L - ``num_hidden(L)`` is computed from the shape of the mask, so the device is not synchronised.

        Args:
            mask: (N, L) bool, True = hidden, with K visible patches in every image.

        Raises:
            ValueError: The number of hidden patches varies, so some visible patches would be left out.
        """
        if self.varies:
            raise ValueError(
                f'the number of patches that {type(self).__name__} hides varies, and this algorithm encodes the same '
                'number of visible patches in every image: set model.masker.type=UniformMasker, or exact=True of a '
                'BlockwiseMasker'
            )
        num_patches = mask.shape[1]
        return _first(mask, num_patches - self.num_hidden(num_patches))

    def hidden(self, mask: Tensor) -> Tensor:
        """Returns (N, H) int64, the positions of the hidden patches in ascending order, H = ``num_hidden(L)``.

        In an image with fewer hidden patches than H, visible patches follow them: ``mask.gather(1, hidden)`` is False
        there.

        Args:
            mask: (N, L) bool, True = hidden.
        """
        return _first(~mask, self.num_hidden(mask.shape[1]))

    def regions(self, images: Tensor) -> dict[str, Tensor]:
        """Returns the parts of images (N, 3, H, W) that a figure of the masks shows: name -> (N, L) bool."""
        return {'visible': ~self(images)}

    def num_patches(self, images: Tensor) -> int:
        """Returns the number of patches of images (N, 3, H, W) for a masker that hides the same number in every image.

        Raises:
            ValueError: All patches of an image are hidden, so the backbone would learn nothing.
        """
        rows, columns = self.grid(images)
        if self.num_hidden(rows * columns) >= rows * columns:
            raise ValueError(
                f'model.masker hides all {rows} x {columns} patches of an image: lower model.masker.ratio, or enlarge '
                'the view'
            )
        return rows * columns

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Returns the rows and columns of patches of images (N, 3, H, W); an incomplete patch counts as one."""
        height, width = images.shape[-2:]
        return -(-height // self.patch_size), -(-width // self.patch_size)


def _first(is_behind: Tensor, count: int) -> Tensor:
    """Returns (N, count) int64: per row the positions of False entries, then those of True entries."""
    return is_behind.to(torch.uint8).argsort(dim=1, stable=True)[:, :count]

"""Target: histograms of oriented gradients."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, pad

from mmssl.models.layers.patches import check_whole_patches, patchify
from mmssl.registry import TARGETS


def hog(images: Tensor, num_bins: int = 9, cell_size: int = 8) -> Tensor:
    """Computes histograms of oriented gradients for each channel (Wei et al., 2022, arXiv:2112.09133, section 2.2).

    (gx, gy) are the Sobel gradients of the image, which is mirrored at its border. A pixel adds ``|(gx, gy)|`` to the
    bin ``floor(atan2(gx, gy) / pi * num_bins) mod num_bins`` of its cell, so opposite directions share a bin. The
    histogram of each cell and channel is scaled to length 1. As in the official code a pixel adds to one bin, without
    interpolation or window, and the angle is measured from the y axis.

    Args:
        images: (N, C, H, W), normalised; H and W multiples of ``cell_size``.
        num_bins: Number of orientations in half a turn.
        cell_size: Side of a cell in pixels.

    Returns:
        (N, C, num_bins, H / cell_size, W / cell_size); 0 for a cell of one colour.
    """
    num_images, channels, height, width = images.shape
    pixels = pad(images, (1, 1, 1, 1), mode='reflect').flatten(0, 1)  # (N C, H + 2, W + 2)
    # Subtract before adding, so that the gradients are exactly 0 where an image has one colour.
    gx, gy = pixels[:, :, :-2] - pixels[:, :, 2:], pixels[:, :-2] - pixels[:, 2:]
    gx, gy = gx[:, :-2] + 2 * gx[:, 1:-1] + gx[:, 2:], gy[:, :, :-2] + 2 * gy[:, :, 1:-1] + gy[:, :, 2:]
    magnitude = torch.hypot(gx, gy)
    bins = (torch.atan2(gx, gy) / math.pi * num_bins).floor().long() % num_bins
    cells = magnitude.new_zeros(num_images * channels, num_bins, height, width)
    cells.scatter_(1, bins.unsqueeze(1), magnitude.unsqueeze(1))
    cells = cells.unflatten(3, (-1, cell_size)).unflatten(2, (-1, cell_size)).sum(dim=(3, 5))
    return normalize(cells, dim=1).unflatten(0, (num_images, channels))


def edge_strokes(num_bins: int, cell_size: int) -> Tensor:
    """Draws a stroke through a cell for each orientation, along the edges of that orientation.

    An edge runs at right angles to its gradient, which for the middle of bin b is
    ``(gx, gy) = (sin, cos)((b + 1/2) / num_bins * pi)``.

    Returns:
        (num_bins, cell_size, cell_size), brightness in [0, 1].
    """
    angle = (torch.arange(num_bins) + 0.5).view(-1, 1, 1) / num_bins * math.pi
    place = torch.arange(cell_size) - (cell_size - 1) / 2
    distance = (place * angle.sin() + place.view(-1, 1) * angle.cos()).abs()  # from a pixel to the line
    return (1 - distance).clamp(min=0)


@TARGETS.register_module()
class HOGTarget(nn.Module):
    """Histograms of the cells of each patch, see ``hog``, in float32 or float64, also inside ``torch.autocast``.

    Args:
        patch_size: Side of a patch in pixels, a multiple of ``cell_size``.
        num_bins: Number of orientations in half a turn.
        cell_size: Side of a cell in pixels.

    Raises:
        ValueError: ``patch_size`` is not a multiple of ``cell_size``.
    """

    def __init__(self, patch_size: int = 16, num_bins: int = 9, cell_size: int = 8) -> None:
        super().__init__()
        if patch_size % cell_size:
            raise ValueError(f'patch_size must be a multiple of cell_size={cell_size}, got {patch_size}')
        self.patch_size = patch_size
        self.num_bins = num_bins
        self.cell_size = cell_size

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns the target (N, L, 3 * num_bins * cells) for normalised images (N, 3, H, W).

        The values of a patch are in the order (channel, bin, row of cells, column of cells); patches of 16 pixels have
        108 values.

        Raises:
            ValueError: A side of the images is not a multiple of ``patch_size``.
        """
        check_whole_patches(images, self.patch_size)
        with torch.autocast(images.device.type, enabled=False):
            images = images.to(torch.promote_types(images.dtype, torch.float32))
            histograms = hog(images, self.num_bins, self.cell_size).flatten(1, 2)  # (N, 3 * bins, rows, columns)
        side = self.patch_size // self.cell_size
        patches = patchify(histograms, side)  # cells before channels
        return patches.unflatten(2, (side**2, -1)).transpose(2, 3).flatten(2)

    def to_pixels(self, prediction: Tensor, images: Tensor) -> Tensor:
        """Draws histograms as glyphs: each cell has one stroke per orientation, and the value of the bin is its
        brightness.

        Args:
            prediction: (N, L, 3 * num_bins * cells), as ``forward`` returns it; negative values are not drawn.
            images: Images of the prediction, not used.

        Returns:
            (N, L, p * p * 3), each channel's histograms in that channel, from -2 for no gradient to 2, which is about
            the range of normalised images.
        """
        side = self.patch_size // self.cell_size
        bins = prediction.unflatten(2, (3, self.num_bins, side, side)).clamp(min=0)
        strokes = edge_strokes(self.num_bins, self.cell_size).to(bins)
        glyphs = torch.einsum('nlcbyx,bij->nlyixjc', bins, strokes).clamp(max=1)
        return 4 * glyphs.flatten(2) - 2

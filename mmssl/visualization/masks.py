"""Draws the masks of a method."""

from __future__ import annotations

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.evaluation.extract import random_state_kept
from mmssl.models.layers.patches import unpatchify
from mmssl.models.maskers.masker import Masker
from mmssl.visualization.image_grid import image_grid
from mmssl.visualization.reconstruction import GREY, seeded


@torch.no_grad()
def mask_figure(masker: Masker, images: Tensor, seed: int = 0) -> Figure:
    """Draws one row per image: the image, and the parts of it that a masker chooses, on grey.

    The parts are those of ``masker.regions``: the visible patches, or the context and the targets of I-JEPA.

    Args:
        masker: Masker of a method.
        images: uint8 (N, 3, H, W); H and W are multiples of the masker's ``patch_size``.
        seed: Seed of the masks.
    """
    images = images.cpu()
    with random_state_kept(), seeded(seed):
        regions = masker.regions(images.float())
    grid = masker.grid(images)
    columns = [images]
    for shown in regions.values():
        pixels = unpatchify(shown[..., None].expand(-1, -1, masker.patch_size**2), masker.patch_size, grid)
        columns.append(images.masked_fill(~pixels, GREY))
    return image_grid(torch.stack(columns, dim=1), ['original', *regions], side=1.2)

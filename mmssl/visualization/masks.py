"""Draws the masks of a method."""

from __future__ import annotations

from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from mmssl.evaluation.extract import evaluating
from mmssl.models.layers.patches import unpatchify
from mmssl.utils.errors import UserError
from mmssl.visualization.image_grid import image_grid
from mmssl.visualization.reconstruction import GREY, seeded


@torch.no_grad()
def mask_figure(model: Any, images: Tensor, seed: int = 0) -> Figure:
    """Draws one row per image: the image, and the parts of it that the model's masker draws, on grey.

    The parts are those of ``masker.regions``: the visible patches, or the context and the targets of I-JEPA.

    Args:
        model: Algorithm with a ``masker``.
        images: uint8 (N, 3, H, W); H and W are multiples of the masker's ``patch_size``.
        seed: Seed of the masks.

    Raises:
        UserError: The model has no masker.
    """
    masker = getattr(model, 'masker', None)
    if masker is None:
        raise UserError(f'{type(model).__name__} draws no masks: use a method that hides patches, such as MAE')
    images, prepared = images.cpu(), model.data_preprocessor.prepare(images)
    with evaluating(model), seeded(seed):
        regions = masker.regions(prepared)
    grid = masker.grid(images)
    columns = [images]
    for shown in regions.values():
        pixels = unpatchify(shown.cpu()[..., None].expand(-1, -1, masker.patch_size**2), masker.patch_size, grid)
        columns.append(images.masked_fill(~pixels, GREY))
    return image_grid(torch.stack(columns, dim=1), ['original', *regions], side=1.2)

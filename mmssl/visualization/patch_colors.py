"""Colours patches by the principal components of their features, as DINOv2's paper does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmssl.evaluation.extract import evaluating
from mmssl.utils.errors import UserError
from mmssl.visualization.attention import patch_grid, split_at_last_map
from mmssl.visualization.image_grid import image_grid

COLOURS = 3


@torch.no_grad()
def patch_features(backbone: Any, images: Tensor) -> Tensor:
    """Returns the features of all patches, one image at a time and in evaluation mode.

    Args:
        backbone: Vision transformer, whose patch tokens after the final norm are taken, without class token and
            registers; or convolutional network or Swin, whose last feature map is taken.
        images: (N, 3, H, W), normalised.

    Returns:
        (N, h, w, D) on the CPU.
    """
    network = getattr(backbone, 'model', backbone)
    with evaluating(backbone):
        if getattr(network, 'output_fmt', 'NCHW') == 'NHWC' and hasattr(network, 'forward_features'):  # Swin of timm
            return torch.cat([network.forward_features(image) for image in images.split(1)]).cpu()
        if not hasattr(network, 'patch_embed') or not hasattr(network.patch_embed, 'dynamic_feat_size'):
            last_map, _ = split_at_last_map(backbone)
            return torch.cat([last_map(image) for image in images.split(1)]).permute(0, 2, 3, 1).cpu()
        grid = patch_grid(network.patch_embed, images.shape[-2:])
        tokens = torch.cat([_last_tokens(backbone, network, image) for image in images.split(1)])
    patches = tokens[:, tokens.shape[1] - grid[0] * grid[1] :]
    return patches.unflatten(1, grid).cpu()


def _last_tokens(backbone: Any, network: Any, images: Tensor) -> Tensor:
    """Returns the tokens (N, T, D) after the final norm of a transformer, or after its last block without a norm."""
    kept: list[Tensor] = []
    last = network.blocks[-1] if isinstance(network.norm, nn.Identity) else network.norm
    handle = last.register_forward_hook(lambda module, args, output: kept.append(output))
    try:
        backbone(images)
    finally:
        handle.remove()
    return kept[-1]


def principal_components(rows: Tensor, count: int) -> Tensor:
    """Returns the coordinates (P, count) of rows (P, D) along their first principal components, each positively skewed.

    The sign of a component is arbitrary; it is chosen so that the third moment is not negative.
    """
    centred = rows.double() - rows.double().mean(dim=0)
    _, _, directions = torch.linalg.svd(centred, full_matrices=False)
    scores = centred @ directions[:count].T
    return scores * torch.where(scores.pow(3).sum(dim=0) < 0, -1.0, 1.0)


def foreground(features: Tensor) -> Tensor:
    """Separates objects from background by the sign of the first principal component over the patches of all images.

    DINOv2's authors choose the side of the component by eye. Here the foreground is the side that holds the smaller
    share of the patches at the border of the images.

    Args:
        features: (N, h, w, D).

    Returns:
        (N, h, w) bool, True = foreground.
    """
    above = principal_components(features.flatten(0, 2), 1).reshape(features.shape[:3]) > 0
    border = torch.ones_like(above)
    border[:, 1:-1, 1:-1] = False
    return above if above[border].double().mean() <= 0.5 else ~above


def patch_colors(features: Tensor, mask: Tensor | None = None) -> Tensor:
    """Colours patches by three principal components of their features (DINOv2, arXiv:2304.07193, Fig. 1).

    The components are computed over the patches of all images together, so that similar parts of different images get
    similar colours. Each component becomes one of red, green and blue, from its 1st to its 99th percentile.

    Args:
        features: (N, h, w, D).
        mask: (N, h, w) bool, patches that are coloured; the others are black. None colours all.

    Returns:
        float32 (N, 3, h, w) in [0, 1].

    Raises:
        UserError: Fewer than four patches are coloured.
    """
    mask = torch.ones(features.shape[:3], dtype=torch.bool) if mask is None else mask
    if mask.sum() <= COLOURS:
        raise UserError('there are too few patches to colour: use larger images, or colour the whole images')
    scores = principal_components(features[mask], COLOURS)
    low, high = scores.quantile(0.01, dim=0), scores.quantile(0.99, dim=0)
    colours = torch.zeros(*features.shape[:3], COLOURS, dtype=scores.dtype)
    colours[mask] = ((scores - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    return colours.permute(0, 3, 1, 2).float()


def patch_color_figure(images: Tensor, features: Mapping[str, Tensor], whole: bool = False) -> Figure:
    """Draws one row per image: the image, then its coloured patches by each backbone.

    Args:
        images: uint8 (N, 3, H, W).
        features: Name of a backbone (may be empty) -> features (N, h, w, D) of ``patch_features``.
        whole: Whether all patches are coloured, instead of the foreground.
    """
    columns, titles = [images.cpu() / 255], ['image']
    for name, of_backbone in features.items():
        colours = patch_colors(of_backbone, None if whole else foreground(of_backbone))
        columns.append(interpolate(colours, images.shape[-2:], mode='nearest'))
        titles.append(name or 'patches')
    return image_grid(torch.stack(columns, 1), titles, side=2.0)

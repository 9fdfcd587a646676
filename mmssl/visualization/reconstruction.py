"""What a masked model makes of the patches that it does not see."""

from __future__ import annotations

from math import isqrt

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmssl.evaluation.extract import evaluating
from mmssl.models.components.patches import unpatchify
from mmssl.utils.errors import UserError
from mmssl.visualization.image_grid import image_grid

PANELS = ('original', 'masked', 'reconstruction', 'pasted')
GREY = 128


def check_reconstructs(model: nn.Module) -> None:
    """Raises ``UserError`` where ``model`` does not predict what can be shown as a picture."""
    method, target = type(model).__name__, getattr(model, 'target', None)
    if not hasattr(model, 'reconstruct'):
        raise UserError(
            f'{method} reconstructs no image: the figure is that of methods which hide patches and predict them'
        )
    if not hasattr(target, 'to_pixels'):
        raise UserError(
            f'{method} predicts {type(target).__name__}, which is no picture: the figure needs a target with '
            'to_pixels(), such as PixelTarget'
        )


@torch.no_grad()
def reconstruct_images(model: nn.Module, images: Tensor, seed: int = 0) -> tuple[Tensor, dict[str, Tensor]]:
    """Hides patches and turns what the model predicts of all of them into images.

    The model needs ``reconstruct(images)``, which draws a mask (N, L) and predicts (N, L, P), and a ``target`` whose
    ``to_pixels(prediction, images)`` makes (N, L, p * p * 3) of it. With ``reconstruct_levels(images)``, which gives
    a mask and several predictions by name, each of them becomes an image. Modes, weights and random state of the
    process stay as they are.

    Args:
        model: The algorithm.
        images: uint8 (N, 3, H, W).
        seed: Of the masks.

    Returns:
        Which pixels were hidden, (N, 1, H, W) bool, and the reconstructions uint8 (N, 3, H, W) by name, '' where there
        is one alone; on the CPU.

    Raises:
        UserError: The model predicts nothing that can be shown.
    """
    check_reconstructs(model)
    prepared = model.data_preprocessor.prepare(images)
    with evaluating(model):
        torch.manual_seed(seed)
        if hasattr(model, 'reconstruct_levels'):
            mask, predictions = model.reconstruct_levels(prepared)
        else:
            mask, prediction = model.reconstruct(prepared)
            predictions = {'': prediction}
    pictures = {}
    for name, prediction in predictions.items():
        patches = model.target.to_pixels(prediction.float(), prepared)
        patch_size = isqrt(patches.shape[-1] // 3)
        grid = images.shape[-2] // patch_size, images.shape[-1] // patch_size
        pictures[name] = model.data_preprocessor.denormalize(unpatchify(patches, patch_size, grid)).cpu()
    hidden = mask[..., None].expand(-1, -1, patch_size**2)
    return unpatchify(hidden, patch_size, grid).cpu(), pictures


def reconstruction_panels(images: Tensor, hidden: Tensor, reconstruction: Tensor) -> Tensor:
    """Returns uint8 (N, 4, 3, H, W): image, visible part, reconstruction, and its hidden part in the visible one.

    Args:
        images: uint8 (N, 3, H, W).
        hidden: (N, 1, H, W) bool.
        reconstruction: uint8 (N, 3, H, W).
    """
    masked = images.masked_fill(hidden, GREY)
    pasted = torch.where(hidden, reconstruction, images)
    return torch.stack([images, masked, reconstruction, pasted], dim=1)


def reconstruction_figure(model: nn.Module, images: Tensor, seed: int = 0) -> Figure:
    """Draws a row of ``PANELS`` for each image and each of its reconstructions; arguments as in ``reconstruct_images``.

    Raises:
        UserError: The model predicts nothing that can be shown.
    """
    images = images.cpu()
    hidden, pictures = reconstruct_images(model, images, seed)
    rows = torch.stack([reconstruction_panels(images, hidden, picture) for picture in pictures.values()], dim=1)
    labels = [name for _ in images for name in pictures] if len(pictures) > 1 else ()
    return image_grid(rows.flatten(0, 1), PANELS, labels=labels, side=1.6)

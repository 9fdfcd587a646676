"""What a masked model makes of the patches that it does not see."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmssl.evaluation.extract import evaluating
from mmssl.models.layers.patches import unpatchify
from mmssl.utils.errors import UserError
from mmssl.visualization.image_grid import image_grid

PANELS = ('original', 'masked', 'reconstruction', 'pasted')
GREY = 128


def check_reconstructs(model: nn.Module) -> None:
    """Raises ``UserError`` where ``model`` does not predict what can be shown as a picture."""
    method, target = type(model).__name__, getattr(model, 'target', None)
    if target is not None and not hasattr(target, 'to_pixels'):
        raise UserError(
            f'{method} predicts {type(target).__name__}, which is no picture: the figure needs a target with '
            'to_pixels(), such as PixelTarget'
        )
    if target is None or not hasattr(model, 'reconstruct'):
        raise UserError(
            f'{method} reconstructs no image: the figure is that of methods which hide patches and predict them'
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the generators of torch, whose state ``evaluating`` restores, and of Python, whose state is given back."""
    state = random.getstate()
    torch.manual_seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@dataclass
class Reconstruction:
    """What became of images (N, 3, H, W), on the CPU.

    Args:
        hidden: Which pixels the model did not get, (N, 1, H, W) bool.
        pictures: What it predicted, uint8 (N, 3, H, W), by the name of a level, '' where there is one alone.
        target: What it should have predicted, uint8 (N, 3, H, W): the images but for rounding, if that is pixels.
    """

    hidden: Tensor
    pictures: dict[str, Tensor]
    target: Tensor


@torch.no_grad()
def reconstruct_images(model: nn.Module, images: Tensor, seed: int = 0) -> Reconstruction:
    """Hides patches and turns what the model predicts of all of them into images.

    The model needs ``reconstruct(images)``, which draws a mask (N, L) and predicts (N, L, P), and a ``target`` whose
    ``to_pixels(prediction, images)`` makes (N, L, p * p * 3) of it. With ``reconstruct_levels(images)``, which gives
    a mask and several predictions by name, each of them becomes an image. Modes, weights and random state of the
    process stay as they are.

    Args:
        model: The algorithm.
        images: uint8 (N, 3, H, W).
        seed: Of the masks.

    Raises:
        UserError: The model predicts nothing that can be shown.
    """
    check_reconstructs(model)
    prepared = model.data_preprocessor.prepare(images)
    with evaluating(model), seeded(seed):
        if hasattr(model, 'reconstruct_levels'):
            mask, predictions = model.reconstruct_levels(prepared)
        else:
            mask, prediction = model.reconstruct(prepared)
            predictions = {'': prediction}
        target = model.target.to_pixels(model.target(prepared), prepared)
    patch_size = isqrt(target.shape[-1] // 3)
    grid = images.shape[-2] // patch_size, images.shape[-1] // patch_size

    def picture(patches: Tensor) -> Tensor:
        return model.data_preprocessor.denormalize(unpatchify(patches, patch_size, grid)).cpu()

    hidden = unpatchify(mask[..., None].expand(-1, -1, patch_size**2), patch_size, grid)
    pictures = {name: picture(model.target.to_pixels(values.float(), prepared)) for name, values in predictions.items()}
    return Reconstruction(hidden.cpu(), pictures, picture(target))


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

    Where the target is another picture than the image, that is a column too.

    Raises:
        UserError: The model predicts nothing that can be shown.
    """
    images, titles = images.cpu(), list(PANELS)
    drawn = reconstruct_images(model, images, seed)
    columns = [reconstruction_panels(images, drawn.hidden, picture) for picture in drawn.pictures.values()]
    if (drawn.target.int() - images.int()).abs().max() > 1:
        titles.append('target')
        columns = [torch.cat([panels, drawn.target[:, None]], dim=1) for panels in columns]
    rows = torch.stack(columns, dim=1).flatten(0, 1)
    labels = [name for _ in images for name in drawn.pictures] if len(drawn.pictures) > 1 else ()
    return image_grid(rows, titles, labels=labels, side=1.6)

"""Draws the images that a masked model reconstructs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import isqrt
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmssl.evaluation.extract import evaluating
from mmssl.models.layers.patches import unpatchify
from mmssl.utils.errors import UserError
from mmssl.visualization.image_grid import image_grid

PANELS = ('original', 'input', 'reconstruction', 'pasted')
GREY = 128


def check_reconstructs(model: nn.Module) -> None:
    """Raises a ``UserError`` if the predictions of ``model`` cannot be drawn as a picture."""
    method, target = type(model).__name__, getattr(model, 'target', None)
    if target is not None and not hasattr(target, 'to_pixels'):
        raise UserError(
            f'{method} predicts {type(target).__name__}, which is not a picture: the figure needs a target with '
            'to_pixels(), such as PixelTarget'
        )
    if target is None or not hasattr(model, 'reconstruct'):
        raise UserError(
            f'{method} reconstructs no image: use a method that hides patches and predicts them, such as MAE'
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seeds the random generators of torch and Python; restores that of Python (``evaluating`` restores torch's)."""
    state = random.getstate()
    torch.manual_seed(seed)
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


@dataclass
class Reconstruction:
    """The reconstruction of N images, on the CPU.

    Args:
        images: The images, uint8 (N, 3, H, W), at the size at which the model predicts them.
        hidden: (N, 1, H, W) bool, the pixels that the model did not get.
        visible: Input of the model, uint8 (N, 3, H, W), such as the images with grey patches.
        pictures: Name of a pyramid level -> prediction, uint8 (N, 3, H, W); the name is '' if there is a single one.
        target: Target as a picture, uint8 (N, 3, H, W); for pixel targets the images themselves up to rounding.
    """

    images: Tensor
    hidden: Tensor
    visible: Tensor
    pictures: dict[str, Tensor]
    target: Tensor


@torch.no_grad()
def reconstruct_images(model: Any, images: Tensor, seed: int = 0) -> Reconstruction:
    """Hides patches of images and returns the model's predictions for all patches as pictures.

    The model needs ``reconstruct(images)``, which draws a mask (N, L) and predicts (N, L, P), and a ``target`` whose
    ``to_pixels(prediction, images)`` turns predictions into pixels (N, L, p * p * C) of patches of side p. A model with
    ``reconstruct_levels(images)``, which returns a mask and a dict of predictions, gives one picture per prediction.
    A model whose input is not the image with grey patches defines ``visible(images, mask)``: (N, 3, H, W), normalised.
    The model's modes and weights and the random state of the process do not change.

    Args:
        model: Algorithm.
        images: uint8 (N, 3, H, W); with bands (N, C, H, W), uint8 or uint16.
        seed: Seed of the masks.

    Raises:
        UserError: The predictions of the model cannot be drawn as a picture.
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
        patch_size = isqrt(target.shape[-1] // model.data_preprocessor.num_bands)
        if target.shape[1] != mask.shape[1]:  # the model has predicted fewer pixels, as iGPT does
            images = _reduced(images, mask.shape[1] * patch_size**2)
            prepared = model.data_preprocessor.prepare(images)
            target = model.target.to_pixels(model.target(prepared), prepared)
    grid = images.shape[-2] // patch_size, images.shape[-1] // patch_size

    def picture(patches: Tensor) -> Tensor:
        return model.data_preprocessor.denormalize(unpatchify(patches, patch_size, grid)).cpu()

    hidden = unpatchify(mask[..., None].expand(-1, -1, patch_size**2), patch_size, grid).cpu()
    images = model.data_preprocessor.picture(images).cpu()
    visible = images.masked_fill(hidden, GREY)
    if hasattr(model, 'visible'):
        visible = model.data_preprocessor.denormalize(model.visible(prepared, mask)).cpu()
    pictures = {name: picture(model.target.to_pixels(values.float(), prepared)) for name, values in predictions.items()}
    return Reconstruction(images, hidden, visible, pictures, picture(target))


def _reduced(images: Tensor, num_pixels: int) -> Tensor:
    """Reduces images (N, C, H, W) to a number of pixels."""
    factor = (num_pixels / images[0, 0].numel()) ** 0.5
    size = [round(side * factor) for side in images.shape[-2:]]
    return interpolate(images.float(), size, mode='area').round().to(images.dtype)


def reconstruction_panels(images: Tensor, hidden: Tensor, visible: Tensor, reconstruction: Tensor) -> Tensor:
    """Returns the four ``PANELS`` of each image, uint8 (N, 4, 3, H, W).

    The panels are the image, what the model got, the reconstruction, and the image with only the hidden pixels
    reconstructed.

    Args:
        images: uint8 (N, 3, H, W).
        hidden: (N, 1, H, W) bool, the pixels that the model did not get.
        visible: Input of the model, uint8 (N, 3, H, W).
        reconstruction: uint8 (N, 3, H, W).
    """
    pasted = torch.where(hidden, reconstruction, images)
    return torch.stack([images, visible, reconstruction, pasted], dim=1)


def reconstruction_figure(model: Any, images: Tensor, seed: int = 0) -> Figure:
    """Draws one row of ``PANELS`` per image and reconstruction; for the arguments see ``reconstruct_images``.

    If all pixels are hidden, the column ``'pasted'`` would repeat the reconstruction and is left out. If the target
    differs from the image, a last column shows the target.

    Raises:
        UserError: The predictions of the model cannot be drawn as a picture.
    """
    titles = list(PANELS)
    drawn = reconstruct_images(model, images, seed)
    columns = [
        reconstruction_panels(drawn.images, drawn.hidden, drawn.visible, picture) for picture in drawn.pictures.values()
    ]
    if drawn.hidden.all():
        titles.remove('pasted')
        columns = [panels[:, : len(titles)] for panels in columns]
    if (drawn.target.int() - drawn.images.int()).abs().max() > 1:
        titles.append('target')
        columns = [torch.cat([panels, drawn.target[:, None]], dim=1) for panels in columns]
    rows = torch.stack(columns, dim=1).flatten(0, 1)
    labels = [name for _ in images for name in drawn.pictures] if len(drawn.pictures) > 1 else ()
    return image_grid(rows, titles, labels=labels, side=1.6)

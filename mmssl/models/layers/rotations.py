"""Images turned by quarters of a circle."""

from __future__ import annotations

import torch
from torch import Tensor

NUM_ROTATIONS = 4


def four_rotations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Turns every image by 0, 90, 180 and 270 degrees counter-clockwise (RotNet, arXiv:1803.07728).

    Pixels change places and keep their values: nothing is interpolated and nothing padded, so that no artefact tells
    the rotation.

    Args:
        images: (N, C, S, S), square.

    Returns:
        (4 N, C, S, S), the four of an image after one another, and their labels (4 N,) int64: the number of quarters.

    Raises:
        ValueError: The images are not square.
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f'images must be square to be turned by 90 degrees, got {tuple(images.shape[-2:])} pixels')
    turned = torch.stack([torch.rot90(images, quarters, (-2, -1)) for quarters in range(NUM_ROTATIONS)], dim=1)
    return turned.flatten(0, 1), torch.arange(NUM_ROTATIONS, device=images.device).repeat(len(images))

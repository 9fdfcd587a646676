"""Rotations of images by multiples of 90 degrees."""

from __future__ import annotations

import torch
from torch import Tensor

NUM_ROTATIONS = 4


def four_rotations(images: Tensor) -> tuple[Tensor, Tensor]:
    """Rotates every image by 0, 90, 180 and 270 degrees counter-clockwise (RotNet, arXiv:1803.07728).

    Pixels only change places: nothing is interpolated or padded, so no artefact reveals the rotation.

    Args:
        images: (N, C, S, S), square.

    Returns:
        Images (4 N, C, S, S), with the four rotations of an image adjacent, and labels (4 N,) int64: degrees / 90.

    Raises:
        ValueError: The images are not square.
    """
    if images.shape[-1] != images.shape[-2]:
        raise ValueError(f'images must be square to be rotated by 90 degrees, got {tuple(images.shape[-2:])} pixels')
    turned = torch.stack([torch.rot90(images, quarters, (-2, -1)) for quarters in range(NUM_ROTATIONS)], dim=1)
    return turned.flatten(0, 1), torch.arange(NUM_ROTATIONS, device=images.device).repeat(len(images))

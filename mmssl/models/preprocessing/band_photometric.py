"""Photometric operations on images with any number of bands: those that need no colours."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from mmssl.datasets.transforms.photometric_program import COLORLESS, OPERATIONS
from mmssl.models.preprocessing.photometric import FUNCTIONS


def _factor(images: Tensor, values: Tensor) -> Tensor:
    return images.mul(values.view(-1, 1, 1, 1)).clamp_(0, 1)


def _contrast(images: Tensor, values: Tensor) -> Tensor:
    mean = images.mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean, images, values.view(-1, 1, 1, 1)).clamp_(0, 1)


def _offset(images: Tensor, values: Tensor) -> Tensor:
    return images.add(values.view(-1, 1, 1, 1)).clamp_(0, 1)


def _blur(images: Tensor, values: Tensor) -> Tensor:
    """Blurs band by band with the function for colour images, three bands at a time."""
    number = images.shape[1]
    padded = images if number % 3 == 0 else torch.cat([images, images[:, :1].expand(-1, -number % 3, -1, -1)], dim=1)
    groups = [FUNCTIONS['blur'](group.contiguous(), values) for group in padded.split(3, dim=1)]
    return torch.cat(groups, dim=1)[:, :number]


def _solarize(images: Tensor, values: Tensor) -> Tensor:
    return torch.where(images >= values.view(-1, 1, 1, 1), 1 - images, images)


_OF_BANDS: dict[str, Callable[[Tensor, Tensor], Tensor]] = dict(
    brightness=_factor,
    contrast=_contrast,
    channel_contrast=_contrast,
    brightness_offset=_offset,
    blur=_blur,
    solarize=_solarize,
)
assert set(_OF_BANDS) == set(COLORLESS)


def run_band_programs(images: Tensor, programs: Tensor) -> Tensor:
    """Runs each image's photometric program on all bands; contrast uses the mean of each band.

    Args:
        images: (N, C, H, W) in [0, 1]; may be overwritten.
        programs: (N, steps, 2) float32 on the CPU: code and parameter of each operation, see
            ``mmssl.datasets.transforms.photometric_program``.

    Returns:
        (N, C, H, W) in [0, 1].

    Raises:
        ValueError: A program has an operation on colours, such as hue.
    """
    values = programs[..., 1].to(images.device)
    for step, codes in enumerate(programs[..., 0].int().T.tolist()):
        for code in sorted(set(codes) - {0}):
            if OPERATIONS[code] not in _OF_BANDS:
                raise ValueError(f'{OPERATIONS[code]} needs red, green and blue, and the images have other bands')
            rows = torch.tensor([row for row, own in enumerate(codes) if own == code], device=images.device)
            images.index_copy_(0, rows, _OF_BANDS[OPERATIONS[code]](images[rows], values[rows, step]))
    return images

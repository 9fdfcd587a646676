"""Conversion between normalised images and pixel values of 0-255, the unit of attacks and noise."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def to_pixels(images: Tensor, preprocessor: nn.Module) -> Tensor:
    """Converts normalised images to pixels (N, 3, H, W) in [0, 255], not rounded.

    Args:
        images: (N, 3, H, W), normalised by ``preprocessor``.
        preprocessor: Data preprocessor with the attributes ``mean`` and ``std`` on the scale 0-1, such as
            ``SelfSupDataPreprocessor``. If it has no ``std``, images and pixels are the same.
    """
    scale, offset = _units(preprocessor)
    return images * scale + offset


def from_pixels(pixels: Tensor, preprocessor: nn.Module) -> Tensor:
    """Normalises pixels (N, 3, H, W) in [0, 255] as ``preprocessor`` does, with gradient; see ``to_pixels``."""
    scale, offset = _units(preprocessor)
    return (pixels - offset) / scale


def _units(preprocessor: Any) -> tuple[Tensor | float, Tensor | float]:
    if not hasattr(preprocessor, 'std'):
        return 1.0, 0.0
    return preprocessor.std * 255, preprocessor.mean * 255

"""Prepared images and pixel values of 0-255: what attacks and noise are measured in."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


def to_pixels(images: Tensor, preprocessor: nn.Module) -> Tensor:
    """Returns (N, 3, H, W) in [0, 255], not rounded, of images that ``preprocessor`` has normalised.

    Args:
        images: (N, 3, H, W).
        preprocessor: Normalises with ``mean`` and ``std`` on the scale 0-1, as ``SelfSupDataPreprocessor`` does. One
            without these leaves pixels as they are.
    """
    scale, offset = _units(preprocessor)
    return images * scale + offset


def from_pixels(pixels: Tensor, preprocessor: nn.Module) -> Tensor:
    """Normalises (N, 3, H, W) in [0, 255] as ``preprocessor`` does, with gradient; arguments as for ``to_pixels``."""
    scale, offset = _units(preprocessor)
    return (pixels - offset) / scale


def _units(preprocessor: Any) -> tuple[Tensor | float, Tensor | float]:
    if not hasattr(preprocessor, 'std'):
        return 1.0, 0.0
    return preprocessor.std * 255, preprocessor.mean * 255

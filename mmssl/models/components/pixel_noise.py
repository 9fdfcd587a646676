"""Uniform noise on images."""

from __future__ import annotations

from torch import Tensor, nn

from mmssl.models.components.run_position import RunPosition
from mmssl.models.layers.indexed_noise import indexed_uniform
from mmssl.models.preprocessing.pixels import from_pixels, to_pixels


def add_pixel_noise(
    images: Tensor, strength: float, indices: Tensor, position: RunPosition, preprocessor: nn.Module
) -> Tensor:
    """Adds noise uniform in ``-strength`` to ``strength`` to images, and clips them to the range of pixels.

    The noise of an image depends only on its index and on the number of steps done, not on the process.

    Args:
        images: (N, 3, H, W), normalised by ``preprocessor``.
        strength: Largest absolute value of the noise, in pixel values of 0-255; 0 adds none.
        indices: (N,) int64, positions of the images in their dataset.
        position: Position of the training in its run; its ``count`` seeds the noise.
        preprocessor: Data preprocessor that has normalised the images, see ``to_pixels``.
    """
    if not strength:
        return images
    uniform = indexed_uniform(indices, images.shape[1:], position.count).to(images.dtype)
    pixels = to_pixels(images, preprocessor) + strength * (2 * uniform - 1)
    return from_pixels(pixels.clamp(0, 255), preprocessor)

"""Target: the colours of an image without its lightness."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from mmssl.models.layers.lab import lab_to_rgb, rgb_to_lab
from mmssl.models.layers.patches import patchify
from mmssl.models.losses.numerics import widen
from mmssl.registry import TARGETS
from mmssl.utils.errors import UserError


@TARGETS.register_module()
class ColorTarget(nn.Module):
    """The ab channels of Lab at every ``stride``-th pixel (Zhang et al., 2016, arXiv:1603.08511, section 2).

    Colours are taken from single pixels, not averaged, as in the official code. They are computed in float32 or
    float64, also inside ``torch.autocast``.

    Args:
        stride: Distance of the positions in pixels: the side of the images / the side of the predicted map.
        mean: Mean of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of red, green and blue, on the scale 0-255, by which the preprocessor has divided.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        stride: int = 4,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1) / 255, persistent=False)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Returns ab (N, 2, H / stride, W / stride) for normalised images (N, 3, H, W)."""
        return self._lab(images[..., :: self.stride, :: self.stride])[:, 1:]

    def to_pixels(self, prediction: Tensor, images: Tensor) -> Tensor:
        """Colours images: their own lightness with predicted ab.

        Args:
            prediction: ab (N, 2, H / stride, W / stride), which is enlarged bilinearly.
            images: Normalised images (N, 3, H, W).

        Returns:
            (N, L, p * p * 3), normalised patches of p = stride pixels.

        Raises:
            UserError: A side of the images is not a multiple of ``stride``.
        """
        height, width = images.shape[-2:]
        if height % self.stride or width % self.stride:
            raise UserError(
                f'to draw colours the sides of images must be multiples of model.target.stride={self.stride}, '
                f'got {height} x {width} pixels'
            )
        ab = interpolate(prediction.float(), images.shape[-2:], mode='bilinear')
        pixels = lab_to_rgb(torch.cat([self._lab(images)[:, :1].float(), ab], dim=1))
        return patchify((pixels - self.mean) / self.std, self.stride)

    def _lab(self, images: Tensor) -> Tensor:
        with torch.autocast(images.device.type, enabled=False):
            images = widen(images)
            return rgb_to_lab(images * self.std.to(images) + self.mean.to(images))

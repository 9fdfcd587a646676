"""The lightness of an image as network input."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmssl.models.layers.lab import rgb_to_lab
from mmssl.models.losses.numerics import widen
from mmssl.registry import COMPONENTS


@COMPONENTS.register_module()
class Lightness(nn.Module):
    """Lightness ``(L - 50) / 100`` of normalised images, for networks that must not see colours.

    It is computed in float32 or float64, also inside ``torch.autocast``, and has the dtype of the images.

    Args:
        channels: Number of equal channels of the result: 3 for networks for colour images.
        mean: Mean of red, green and blue, on the scale 0-255, that the preprocessor has subtracted.
        std: Standard deviation of red, green and blue, on the scale 0-255, by which the preprocessor has divided.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        channels: int = 3,
        mean: Sequence[float] = (123.675, 116.28, 103.53),
        std: Sequence[float] = (58.395, 57.12, 57.375),
    ) -> None:
        super().__init__()
        self.channels = channels
        self.register_buffer('mean', torch.tensor(mean).view(3, 1, 1) / 255, persistent=False)
        self.register_buffer('std', torch.tensor(std).view(3, 1, 1) / 255, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Returns (N, ``channels``, H, W), in [-0.5, 0.5], for normalised images (N, 3, H, W)."""
        with torch.autocast(images.device.type, enabled=False):
            wide = widen(images)
            lab = rgb_to_lab(wide * self.std.to(wide) + self.mean.to(wide))
        return (lab[:, :1] / 100 - 0.5).to(images.dtype).expand(-1, self.channels, -1, -1)

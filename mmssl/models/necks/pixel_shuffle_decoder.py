"""A linear decoder from a feature map to an image."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.registry import NECKS


@NECKS.register_module()
class PixelShuffleDecoder(BaseModule):
    """One linear layer from every position of a map to its s x s pixels (SimMIM, arXiv:2111.09886, section 3.3).

    Output ``c s^2 + i s + j`` of the layer is channel c of the pixel in row i and column j of the s x s square.

    Args:
        in_channels: Channels D of the map.
        stride: Number s of pixels per position of the map along each axis: 32 for the last stage of Swin, the patch
            size for a ViT.
        out_channels: Channels of the image.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, stride: int = 32, out_channels: int = 3, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.stride = stride
        self.out_channels = out_channels
        self.layers = nn.Sequential(nn.Conv2d(in_channels, out_channels * stride**2, 1), nn.PixelShuffle(stride))

    def forward(self, maps: tuple[Tensor, ...]) -> Tensor:
        """Returns images (N, out_channels, h * stride, w * stride) for the last of ``maps``, (N, D, h, w)."""
        return self.layers(maps[-1])

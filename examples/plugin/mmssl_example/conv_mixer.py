"""A network of patches and convolutions."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.registry import BACKBONES


class MixerBlock(nn.Module):
    """Mixes positions with a depthwise convolution beside a shortcut, then channels with a pointwise one.

    Args:
        width: Channels.
        kernel_size: Side of the depthwise convolution, odd.
    """

    def __init__(self, width: int, kernel_size: int) -> None:
        super().__init__()
        self.positions = _stage(nn.Conv2d(width, width, kernel_size, padding='same', groups=width))
        self.channels = _stage(nn.Conv2d(width, width, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, D, H, W) to the same shape."""
        return self.channels(x + self.positions(x))


def _stage(conv: nn.Conv2d) -> nn.Sequential:
    return nn.Sequential(conv, nn.GELU(), nn.BatchNorm2d(conv.out_channels))


@BACKBONES.register_module()
class ConvMixer(BaseModule):
    """ConvMixer (Trockman and Kolter, 2022, arXiv:2201.09792, Fig. 2).

    Args:
        width: Channels of every layer.
        depth: Number of blocks.
        patch_size: Side of a patch, in pixels.
        kernel_size: Side of the depthwise convolutions, odd.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self, width: int = 256, depth: int = 8, patch_size: int = 4, kernel_size: int = 5, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.feature_dim = width
        self.stem = _stage(nn.Conv2d(3, width, patch_size, stride=patch_size))
        self.blocks = nn.Sequential(*(MixerBlock(width, kernel_size) for _ in range(depth)))

    def forward(self, images: Tensor) -> tuple[Tensor]:
        """Maps images (N, 3, H, W) to a tuple with one map (N, width, H / patch_size, W / patch_size)."""
        return (self.blocks(self.stem(images)),)

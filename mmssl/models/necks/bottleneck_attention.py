"""Residual blocks with attention over positions instead of the 3x3 convolution."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from mmssl.registry import NECKS


@NECKS.register_module()
class BottleneckAttention(BaseModule):
    """Stack of bottleneck-attention blocks on a feature map (CARE, arXiv:2110.05340; blocks as in arXiv:2101.11605).

    The first block halves the resolution. The norms of this module are never synchronised over processes (``sync =
    False``), as in the official code of CARE.

    Args:
        in_channels: Channels of the feature map.
        hidden_channels: Channels of the attention inside a block, a multiple of ``num_heads``.
        out_channels: Channels of the output.
        num_blocks: Number of blocks.
        num_heads: Number of attention heads.
        size: Side S of the square map for which position tables are learned. Maps of other sizes use the tables resized
            linearly.
        norm_group_size: Number of images that share norm statistics in training. A larger batch is encoded in groups of
            this size, which gives the result of several processes with one group each. None uses the whole batch of a
            process as one group.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``num_heads`` does not divide ``hidden_channels``, or ``norm_group_size`` is less than 1.
    """

    sync = False

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        num_blocks: int = 5,
        num_heads: int = 4,
        size: int = 14,
        norm_group_size: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if hidden_channels % num_heads:
            raise ValueError(f'hidden_channels must be a multiple of num_heads={num_heads}, got {hidden_channels}')
        if norm_group_size is not None and norm_group_size < 1:
            raise ValueError(f'norm_group_size must be at least 1, or None for all images, got {norm_group_size}')
        self.norm_group_size = norm_group_size
        first = AttentionBlock(in_channels, hidden_channels, out_channels, num_heads, size, stride=2)
        half = (size + 1) // 2
        others = (
            AttentionBlock(out_channels, hidden_channels, out_channels, num_heads, half) for _ in range(1, num_blocks)
        )
        self.blocks = nn.Sequential(first, *others)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')

    def forward(self, features: Tensor) -> Tensor:
        """Returns a map (N, out_channels, ceil(H / 2), ceil(W / 2)) for a map (N, in_channels, H, W).

        Raises:
            ValueError: There are more images than ``norm_group_size``, and it does not divide their number.
        """
        group_size = self.norm_group_size or len(features)
        if not self.training or len(features) <= group_size:
            return self.blocks(features)
        if problem := self.wrong_batch(len(features)):
            raise ValueError(problem)
        return torch.cat([self.blocks(group) for group in features.split(group_size)])

    def wrong_batch(self, images: int) -> str | None:
        """Returns why a batch of so many images per process is not possible; None if it is."""
        size = self.norm_group_size
        if size is None or images <= size or images % size == 0:
            return None
        return f'norm_group_size={size} must divide the {images} images of a process, or be larger'


class AttentionBlock(nn.Module):
    """``relu(shortcut(x) + norm(conv(relu(norm(attention(relu(norm(conv(x)))))))))``.

    With ``stride=2`` the attention works at the full resolution, average pooling follows it, and the shortcut is a 3x3
    convolution with norm and ReLU.

    Args:
        in_channels: Channels of the feature map.
        hidden_channels: Channels of the attention.
        out_channels: Channels of the output; with ``stride=1`` it must be ``in_channels``.
        num_heads: Number of attention heads.
        size: Side of the square map for which position tables are learned.
        stride: 1 or 2.
    """

    def __init__(
        self, in_channels: int, hidden_channels: int, out_channels: int, num_heads: int, size: int, stride: int = 1
    ) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(in_channels, hidden_channels, 1, bias=False)
        self.norm_in = nn.BatchNorm2d(hidden_channels)
        self.attention = MapAttention(hidden_channels, num_heads, size)
        self.norm_mid = nn.BatchNorm2d(hidden_channels)
        self.conv_out = nn.Conv2d(hidden_channels, out_channels, 1, bias=False)
        self.norm_out = nn.BatchNorm2d(out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.pool: nn.Module = nn.Identity()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            # ceil_mode keeps incomplete windows, so that an odd map gets the size of the shortcut's output.
            self.pool = nn.AvgPool2d(stride, ceil_mode=True)
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Returns a map (N, out_channels, ceil(H / stride), ceil(W / stride)) for a map (N, in_channels, H, W)."""
        out = self.relu(self.norm_in(self.conv_in(x)))
        out = self.relu(self.norm_mid(self.pool(self.attention(out))))
        return self.relu(self.norm_out(self.conv_out(out)) + self.shortcut(x))


class MapAttention(nn.Module):
    """Self-attention between the positions of a feature map, with a learned position embedding that all heads share.

    The embedding of position (y, x) is ``height[y] + width[x]`` and adds ``q . embedding`` to the logits, which is the
    same as adding it to the keys. The output is not projected.

    Args:
        channels: Channels of the map, a multiple of ``num_heads``.
        num_heads: Number of attention heads.
        size: Number of rows of each position table.
    """

    def __init__(self, channels: int, num_heads: int, size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        width = channels // num_heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.height = nn.Parameter(torch.randn(size, width) * width**-0.5)
        self.width = nn.Parameter(torch.randn(size, width) * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Returns a map of the shape of ``x``, (N, C, H, W)."""
        rows, columns = x.shape[2:]
        heads = self.qkv(x).flatten(2).unflatten(1, (3, self.num_heads, -1))  # (N, 3, heads, C / heads, H * W)
        query, key, value = heads.transpose(3, 4).unbind(dim=1)  # (N, heads, H * W, C / heads) each
        position = _resized(self.height, rows)[:, None] + _resized(self.width, columns)  # (H, W, C / heads)
        out = scaled_dot_product_attention(query, key + position.flatten(0, 1).to(key.dtype), value)
        return out.transpose(2, 3).reshape(x.shape)


def _resized(table: Tensor, length: int) -> Tensor:
    """Returns a position table (S, D) resized linearly to (length, D)."""
    if len(table) == length:
        return table
    return interpolate(table.T[None], length, mode='linear')[0].T

"""Residual blocks in which attention over positions takes the place of the 3x3 convolution."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from mmssl.registry import NECKS


@NECKS.register_module()
class BottleneckAttention(BaseModule):
    """Stack of bottleneck-attention blocks on a feature map (CARE, arXiv:2110.05340; blocks as in arXiv:2101.11605).

    The first block halves the resolution. No normalisation layer below is ever synchronised over processes
    (``sync = False``), as in the official code of CARE.

    Args:
        in_channels: Channels of the map.
        hidden_channels: Channels inside a block, where it attends; a multiple of ``num_heads``.
        out_channels: Channels of the output.
        num_blocks: Number of blocks.
        num_heads: Attention heads.
        size: Rows and columns of the map for which position tables are kept. They are resized linearly to any other.
        norm_group_size: Images that share norm statistics while training: a batch of several times as many is encoded
            in groups, as on several processes with one group each. None makes one group of the batch of a process.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``num_heads`` does not divide ``hidden_channels``.
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
        """Returns a map (N, out_channels, ceil(H / 2), ceil(W / 2)) of a map (N, in_channels, H, W).

        Raises:
            ValueError: The images are more than one group and do not make whole groups.
        """
        group_size = self.norm_group_size or len(features)
        if not self.training or len(features) <= group_size:
            return self.blocks(features)
        if len(features) % group_size:
            raise ValueError(f'norm_group_size must divide the {len(features)} images of a process, got {group_size}')
        return torch.cat([self.blocks(group) for group in features.split(group_size)])


class AttentionBlock(nn.Module):
    """``relu(shortcut(x) + conv(relu(norm(attention(relu(norm(conv(x))))))))``, its last convolution normalised too.

    With a stride the attention sees the full resolution and its output is averaged; the shortcut is a 3x3 convolution
    with norm and ReLU.

    Args:
        in_channels: Channels of the map.
        hidden_channels: Channels of the attention.
        out_channels: Channels of the output, those of the input where ``stride`` is 1.
        num_heads: Attention heads.
        size: Rows and columns of the map for which position tables are kept.
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
            # Incomplete windows count, so that an odd map has the size that the shortcut gives it.
            self.pool = nn.AvgPool2d(stride, ceil_mode=True)
            self.shortcut = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.ReLU(inplace=True),
            )

    def forward(self, x: Tensor) -> Tensor:
        """Returns a map (N, out_channels, ceil(H / stride), ceil(W / stride)) of a map (N, in_channels, H, W)."""
        out = self.relu(self.norm_in(self.conv_in(x)))
        out = self.relu(self.norm_mid(self.pool(self.attention(out))))
        return self.relu(self.norm_out(self.conv_out(out)) + self.shortcut(x))


class MapAttention(nn.Module):
    """Self-attention between the positions of a map, with a learned position embedding that all heads share.

    The embedding of position (y, x) is ``height[y] + width[x]`` and adds ``q . embedding`` to the logits, which is the
    same as adding it to the keys. There is no projection of the output.

    Args:
        channels: Channels of the map, a multiple of ``num_heads``.
        num_heads: Attention heads.
        size: Rows and columns of the position tables.
    """

    def __init__(self, channels: int, num_heads: int, size: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        width = channels // num_heads
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.height = nn.Parameter(torch.randn(size, width) * width**-0.5)
        self.width = nn.Parameter(torch.randn(size, width) * width**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Returns a map (N, C, H, W) of a map of the same shape."""
        rows, columns = x.shape[2:]
        heads = self.qkv(x).flatten(2).unflatten(1, (3, self.num_heads, -1))  # (N, 3, heads, C / heads, H * W)
        query, key, value = heads.transpose(3, 4).unbind(dim=1)  # (N, heads, H * W, C / heads) each
        position = _resized(self.height, rows)[:, None] + _resized(self.width, columns)  # (H, W, C / heads)
        out = scaled_dot_product_attention(query, key + position.flatten(0, 1).to(key.dtype), value)
        return out.transpose(2, 3).reshape(x.shape)


def _resized(table: Tensor, length: int) -> Tensor:
    """A position table (S, D) for ``length`` positions."""
    if len(table) == length:
        return table
    return interpolate(table.T[None], length, mode='linear')[0].T

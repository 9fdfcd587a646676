"""The feature pyramid of plain vision transformers."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from mmssl.models.layers.layer_norm2d import LayerNorm2d
from mmssl.registry import NECKS


@NECKS.register_module()
class SimpleFeaturePyramid(BaseModule):
    """Feature pyramid whose levels all come from the last map of a ViT (Li et al., 2022, arXiv:2203.16527, section 3).

    One or two deconvolutions refine the map of stride 16, or maximum pooling coarsens it; a 1x1 and a 3x3 convolution,
    both with a layer norm, follow in each level. A fifth level takes every second position of the fourth. The layers
    and their order are the same as in the official code.

    Args:
        in_channels: Width D of the map.
        out_channels: Width of every level.
        num_outs: Number of levels: 4 for strides 4, 8, 16 and 32, or 5 to add stride 64.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``num_outs`` is neither 4 nor 5.
    """

    def __init__(
        self, in_channels: int, out_channels: int = 256, num_outs: int = 5, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if num_outs not in (4, 5):
            raise ValueError(f'num_outs must be 4 or 5, got {num_outs}')
        self.num_outs = num_outs
        half, quarter = in_channels // 2, in_channels // 4
        fourfold = [
            nn.ConvTranspose2d(in_channels, half, 2, 2), LayerNorm2d(half), nn.GELU(),
            nn.ConvTranspose2d(half, quarter, 2, 2),
        ]  # fmt: skip
        scalings: list[tuple[list[nn.Module], int]] = [
            (fourfold, quarter),
            ([nn.ConvTranspose2d(in_channels, half, 2, 2)], half),
            ([], in_channels),
            ([nn.MaxPool2d(2)], in_channels),
        ]
        self.levels = nn.ModuleList(
            nn.Sequential(
                *layers,
                nn.Conv2d(channels, out_channels, 1, bias=False),
                LayerNorm2d(out_channels),
                nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False),
                LayerNorm2d(out_channels),
            )
            for layers, channels in scalings
        )

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Computes the pyramid from the last of ``maps``, (N, D, H / 16, W / 16).

        Returns:
            One map (N, out_channels, H / s, W / s) per stride s, from fine to coarse.
        """
        levels = [level(maps[-1]) for level in self.levels]
        if self.num_outs == 5:
            levels.append(max_pool2d(levels[-1], 1, stride=2))
        return tuple(levels)

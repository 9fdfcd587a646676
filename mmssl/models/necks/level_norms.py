"""Layer norms before a feature pyramid."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.layer_norm2d import LayerNorm2d
from mmssl.registry import NECKS


@NECKS.register_module()
class LevelNorms(BaseModule):
    """One layer norm for the maps of each level, for backbones whose stages end without a norm, such as HiViT.

    In a detector it precedes the pyramid: ``neck=[dict(type='mmssl.LevelNorms', ...), dict(type='FPN', ...)]``.

    Args:
        in_channels: Widths of the levels.
        eps: Number added to the variance.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: Sequence[int], eps: float = 1e-6, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.norms = nn.ModuleList(LayerNorm2d(channels, eps=eps) for channels in in_channels)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns normalised maps of the shapes of ``maps``, one (N, C, H, W) per level.

        Raises:
            ValueError: The number of maps is not the number of ``in_channels``.
        """
        if len(maps) != len(self.norms):
            raise ValueError(f'LevelNorms got {len(maps)} maps: give in_channels as many widths, not {len(self.norms)}')
        return tuple(norm(level) for norm, level in zip(self.norms, maps))

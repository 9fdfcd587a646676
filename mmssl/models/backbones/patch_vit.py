"""Vision transformer without class token, as in I-JEPA (arXiv:2301.08243)."""

from __future__ import annotations

from typing import Any

from timm.layers import PatchEmbed, trunc_normal_
from torch import nn

from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class PatchViT(VisionTransformer):
    """Vision transformer whose tokens are its patches alone; features are the mean of the patches.

    Its position table has no row for a class token either. It loads checkpoints of ``VisionTransformer``, whose class
    token is ignored, and ``VisionTransformer`` and ``WindowedViT`` load its tables.

    Args:
        arch: Architecture, see ``VisionTransformer``.
        output: Output: ``'mean'``, ``'tokens'`` or ``'maps'``, see ``VisionTransformer``.
        **options: Other arguments of ``VisionTransformer``.

    Raises:
        ValueError: ``output`` is ``'cls'``, or an argument of ``VisionTransformer`` has a wrong value.
    """

    num_prefix_tokens = 0
    num_prefix_positions = 0

    def __init__(self, arch: str | dict = 'base', output: str = 'mean', **options: Any) -> None:
        if output == 'cls':
            raise ValueError("PatchViT has no class token: set output='mean', 'tokens' or 'maps'")
        super().__init__(arch, output=output, **options)

    def _init_parameters(self, init: str) -> None:
        super()._init_parameters(init)
        if init == 'timm' and isinstance(self.patch_embed, PatchEmbed):  # I-JEPA also draws the convolution
            trunc_normal_(self.patch_embed.proj.weight, std=0.02)
            nn.init.zeros_(self.patch_embed.get_parameter('proj.bias'))

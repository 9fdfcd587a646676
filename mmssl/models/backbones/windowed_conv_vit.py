"""ConvViT for detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmssl.models.backbones.conv_vit import ConvViT
from mmssl.models.layers.grid_attention import GridAttention
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class WindowedConvViT(ConvViT):
    """ConvViT whose stage 3 attends within windows, which bounds the memory of large images; it returns maps.

    Deviation from the official detector: relative positions are decomposed by axis and belong to each block, see
    ``GridAttention``. The official code has one table for all windowed and one for all global blocks.

    Args:
        arch: Architecture, see ``ConvViT``.
        window_size: Side of a window in patches.
        global_indices: Blocks of stage 3, counted from 0, with global instead of windowed attention.
        relative_size: Side in patches of the image for which the relative positions of global blocks are learned, see
            ``GridAttention``; 0 means no relative positions in any block.
        **options: Other arguments of ``ConvViT``.

    Raises:
        ValueError: ``output`` is not ``'maps'``, or a number is outside its range.
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        *,
        window_size: int = 16,
        global_indices: Sequence[int] = (),
        relative_size: int = 0,
        **options: Any,
    ) -> None:
        super().__init__(arch, **dict(output='maps') | options)
        number = len(self.blocks)
        if window_size < 1 or relative_size < 0 or self.output != 'maps':
            raise ValueError("WindowedConvViT needs window_size >= 1, relative_size >= 0 and output='maps'")
        if not set(global_indices) <= set(range(number)):
            raise ValueError(f'global_indices must name blocks of stage 3, 0 to {number - 1}, got {global_indices}')
        blocks: Any = self.blocks
        for index, block in enumerate(blocks):
            size = 0 if index in global_indices else window_size
            attention = GridAttention(self.embed_dim, block.attn.num_heads, size, relative_size, qkv_bias=True)
            attention.load_state_dict(block.attn.state_dict(), strict=False)
            block.attn = attention

    def _attend(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        return super()._attend(tokens.unflatten(1, grid), grid).flatten(1, 2)

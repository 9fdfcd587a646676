"""Vision transformer for detectors (ViTDet: Li et al., 2022, arXiv:2203.16527)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.layers.grid_attention import GridAttention
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class WindowedViT(VisionTransformer):
    """Vision transformer with attention within windows, which bounds the memory of large images.

    It returns maps and has no class token. It loads checkpoints of ``VisionTransformer``, whose class token is ignored.

    Args:
        arch: Architecture, see ``VisionTransformer``.
        window_size: Side of a window in patches.
        global_indices: Blocks with global instead of windowed attention, counted from 0 or from the end.
        relative_size: Side in patches of the image for which the relative positions of global blocks are learned, see
            ``GridAttention``; 0 means no relative positions in any block.
        **options: Other arguments of ``VisionTransformer``.

    Raises:
        ValueError: ``output`` is not ``'maps'``, or a number is outside its range.
    """

    num_prefix_tokens = 0

    def __init__(
        self,
        arch: str | dict = 'base',
        *,
        window_size: int = 14,
        global_indices: Sequence[int] = (),
        relative_size: int = 0,
        **options: Any,
    ) -> None:
        if window_size < 1 or relative_size < 0:
            raise ValueError(f'WindowedViT needs window_size >= 1, relative_size >= 0: {window_size}, {relative_size}')
        if options.setdefault('output', 'maps') != 'maps':
            raise ValueError(f"WindowedViT returns maps: omit output or set it to 'maps', got {options['output']!r}")
        self._windows = window_size, tuple(global_indices), relative_size
        super().__init__(arch, **options)

    def _adapt_blocks(self, depth: int, num_heads: int) -> None:
        window_size, indices, relative_size = self._windows
        if not all(-depth <= index < depth for index in indices):
            raise ValueError(f'global_indices must name blocks 0 to {depth - 1}, got {indices}')
        everywhere = {index % depth for index in indices}
        for index, block in enumerate(self.blocks):
            size = 0 if index in everywhere else window_size
            block.attn = GridAttention(self.embed_dim, num_heads, size, relative_size, qkv_bias=True)

    def _maps(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, ...]:
        return super()._maps(x.unflatten(1, grid), grid)

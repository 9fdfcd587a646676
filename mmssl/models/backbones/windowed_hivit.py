"""HiViT for detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmssl.models.backbones.hivit import HiViT
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class WindowedHiViT(HiViT):
    """HiViT with windowed attention in stage 3 and without relative positions, as in the official detector.

    Args:
        arch: Architecture, see ``HiViT``.
        window_size: Side of a window in units.
        global_indices: Blocks of stage 3, counted from 0, with global instead of windowed attention.
        **options: Other arguments of ``HiViT``.

    Raises:
        ValueError: ``output`` is not ``'maps'``, a bias of relative positions is set, or a number is outside its range.
    """

    def __init__(
        self, arch: str | dict = 'base', *, window_size: int = 14, global_indices: Sequence[int] = (), **options: Any
    ) -> None:
        super().__init__(arch, **options)
        number = self.num_main_blocks
        if window_size < 1 or self.output != 'maps' or self.position_bias != 'off':
            raise ValueError("WindowedHiViT needs window_size >= 1, output='maps' and no relative position bias")
        if not set(global_indices) <= set(range(number)):
            raise ValueError(f'global_indices must name blocks of stage 3, 0 to {number - 1}, got {global_indices}')
        blocks: Any = self.blocks[-number:]
        for index, block in enumerate(blocks):
            block.attn.window_size = 0 if index in global_indices else window_size

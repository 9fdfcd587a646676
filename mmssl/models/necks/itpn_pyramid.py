"""The feature pyramid of iTPN, the same in pre-training and in a detector."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from mmssl.models.layers.hivit_blocks import Block, Mlp, PatchSplit
from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.registry import NECKS


@NECKS.register_module()
class ITPNPyramid(BaseModule):
    """Top-down pyramid without convolution or interpolation (Tian et al., 2023, arXiv:2211.12735v1, section 3.2).

    z4, z8 and z16 are the outputs of the encoder's stages at strides 4, 8 and 16::

        u16 = align_dim_16tofpn(z16)
        u8  = block_16to8(split_16to8(z16) + align_dim_16to8(z8))
        u4  = block_8to4(split_8to4(u8) + align_dim_8to4(z4))
        P16, P8, P4 = fpn_modules(u16, u8, u4)

    ``split_*`` turn one position into four, ``align_*`` are linear layers and ``block_*`` are MLPs on each position. No
    information crosses the border of a unit, so the pyramid works on the visible units alone as well as on whole maps.
    In pre-training it is part of a decoder, as ``neck.pyramid``. A detector with ``neck=dict(type='mmssl.ITPNPyramid',
    num_outs=5)`` loads the tensors whose names begin with ``neck.pyramid.``.

    Args:
        in_channels: Widths of z4, z8 and z16.
        out_channels: Width f of the pyramid. If it equals the width of z16, ``align_dim_16tofpn`` is the identity.
        fpn_depth: Number of MLPs in ``block_16to8`` and in ``block_8to4``: 2 in pixel pre-training, 1 with CLIP. A
            detector needs the number of its checkpoint.
        num_outs: Number of levels: 3, or for maps also 4 or 5 to add P32 and P64, which are P16 averaged over 2 x 2
            positions once and twice.
        concat: Whether the encoder's features are concatenated behind each level, which is then f + in_channels wide,
            as in the official segmentation code. A fourth level is then the maximum over 2 x 2 positions of the third.
        mlp_ratio: Width of the hidden layer of an MLP divided by ``out_channels``.
        eps: Number added to the variance in the norms.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``num_outs`` is not 3, 4 or 5 (4 at most with ``concat``), or there are not three widths.
    """

    pretrained_with_backbone = True  # makes loading stop if the checkpoint lacks it

    def __init__(
        self,
        in_channels: Sequence[int] = (128, 256, 512),
        out_channels: int = 256,
        fpn_depth: int = 2,
        num_outs: int = 3,
        concat: bool = False,
        mlp_ratio: float = 4.0,
        eps: float = 1e-6,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if len(in_channels) != 3:
            raise ValueError(f'in_channels must be the widths of three stages, got {tuple(in_channels)}')
        if not 3 <= num_outs <= (4 if concat else 5):
            raise ValueError(f'num_outs must be 3, 4, or without concat 5, got {num_outs}')
        self.num_outs = num_outs
        self.concat = concat
        self.out_channels = out_channels
        fine, middle, coarse = in_channels
        norm: Any = partial(nn.LayerNorm, eps=eps)

        def mlps(number: int) -> list[Block]:
            return [Block(out_channels, Mlp(out_channels, int(out_channels * mlp_ratio)), norm) for _ in range(number)]

        self.align_dim_16tofpn = nn.Identity() if coarse == out_channels else nn.Linear(coarse, out_channels)
        self.align_dim_16to8 = nn.Linear(middle, out_channels, bias=False)
        self.align_dim_8to4 = nn.Linear(fine, out_channels, bias=False)
        self.split_16to8 = PatchSplit(coarse, out_channels, norm)
        self.split_8to4 = PatchSplit(out_channels, out_channels, norm)
        self.block_16to8 = nn.Sequential(*mlps(fpn_depth))
        self.block_8to4 = nn.Sequential(*mlps(fpn_depth))
        self.fpn_modules = nn.ModuleList(mlps(3))  # for P16, P8, P4
        self.apply(truncated_normal_linear)

    def forward(self, stages: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Computes the pyramid from the output of HiViT.

        Args:
            stages: z4, z8, z16, all as maps (N, C, H, W) or all by unit: (N, K, 4, 4, C), (N, K, 2, 2, C), (N, K, C).

        Returns:
            P4, P8, P16 and, by ``num_outs``, P32 and P64. For maps they are maps (N, f, H, W); for units (N, K, 4, 4,
            f), (N, K, 2, 2, f) and (N, K, 1, 1, f).

        Raises:
            ValueError: The stages are by unit, and ``num_outs`` is not 3 or ``concat`` is set.
        """
        if stages[0].ndim == 4:
            stages = [stage.permute(0, 2, 3, 1) for stage in stages]
            levels = [level.permute(0, 3, 1, 2) for level in self._levels(*stages)]
            return self._with_coarser(levels)
        if self.num_outs > 3 or self.concat:
            raise ValueError('stages by unit, as in pre-training, give three levels only: set num_outs=3, concat=False')
        fine, middle, coarse = stages
        return tuple(self._levels(fine, middle, coarse[:, :, None, None]))

    def _levels(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> list[Tensor]:
        """Returns P4, P8, P16, each (..., rows, columns, f), for stages (..., rows, columns, C)."""
        top = self.align_dim_16tofpn(coarse)
        eighth = self.block_16to8(self.split_16to8(coarse) + self.align_dim_16to8(middle))
        fourth = self.block_8to4(self.split_8to4(eighth) + self.align_dim_8to4(fine))
        levels = [module(level) for module, level in zip(self.fpn_modules, (top, eighth, fourth))][::-1]
        if self.concat:
            levels = [torch.cat(pair, dim=-1) for pair in zip(levels, (fine, middle, coarse))]
        return levels

    def _with_coarser(self, maps: list[Tensor]) -> tuple[Tensor, ...]:
        pool = max_pool2d if self.concat else avg_pool2d
        while len(maps) < self.num_outs:
            maps.append(pool(maps[-1], 2))
        return tuple(maps)

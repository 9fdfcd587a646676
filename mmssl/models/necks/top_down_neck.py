"""Feature pyramid with a top-down pathway, the same class in pre-training and in a detector."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import interpolate, max_pool2d

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.registry import NECKS


@NECKS.register_module()
class TopDownNeck(BaseModule):
    """Feature pyramid network (Lin et al., 2017, arXiv:1612.03144, Fig. 3) on stages of a backbone.

    Level l has 1 / 2^l of the image's resolution. From the coarsest level downwards::

        t_l = lateral_l(c_l) + nearest(t_(l + 1)),    P_l = output_l(t_l)    for l in out_levels

    ReSim pre-trains levels 3 to 5 and outputs P3 and P4. A detector that needs more,
    ``neck=dict(type='mmssl.TopDownNeck', in_channels=(256, 512, 1024, 2048), levels=(2, 3, 4, 5), out_levels=(2, 3, 4,
    5), num_outs=5)``, takes the pre-trained convolutions; those that pre-training does not have keep their initial
    values, which is logged. Convolutions begin with Caffe2's Xavier initialisation, as in detectron2.

    Args:
        in_channels: Width of each stage that the backbone returns, finest first.
        out_channels: Width of all levels.
        levels: Level of each stage, ascending without gap: 3 has an eighth of the image's resolution.
        out_levels: Levels that are returned, ascending.
        num_outs: Number of returned levels; more than ``out_levels`` adds coarser ones, every second position of the
            level before. None adds none.
        norm: Whether batch norm follows each convolution, which then has no bias.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``levels`` does not fit ``in_channels``, or ``out_levels`` or ``num_outs`` do not fit ``levels``.
    """

    pretrained_with_backbone = True  # makes loading stop if the checkpoint lacks it

    def __init__(
        self,
        in_channels: Sequence[int] = (512, 1024, 2048),
        out_channels: int = 256,
        levels: Sequence[int] = (3, 4, 5),
        out_levels: Sequence[int] = (3, 4),
        num_outs: int | None = None,
        norm: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if list(levels) != list(range(levels[0], levels[0] + len(in_channels))):
            raise ValueError(f'levels must be {len(in_channels)} successive numbers, got {tuple(levels)}')
        if not out_levels or not set(out_levels) <= set(levels) or list(out_levels) != sorted(set(out_levels)):
            raise ValueError(f'out_levels must be some of {tuple(levels)}, ascending, got {tuple(out_levels)}')
        if num_outs is not None and num_outs < len(out_levels):
            raise ValueError(f'num_outs must be at least {len(out_levels)}, got {num_outs}')
        self.levels, self.out_levels = tuple(levels), tuple(out_levels)
        self.num_outs = num_outs or len(out_levels)
        self.out_channels = out_channels
        self.first_used = self.levels.index(out_levels[0])

        def convolution(channels: int, kernel: int) -> nn.Sequential:
            conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=not norm)
            nn.init.kaiming_uniform_(conv.weight, a=1)
            if conv.bias is not None:
                nn.init.zeros_(conv.bias)
            return nn.Sequential(conv, nn.BatchNorm2d(out_channels)) if norm else nn.Sequential(conv)

        used = list(zip(self.levels, in_channels))[self.first_used :]
        self.laterals = nn.ModuleDict({str(level): convolution(width, 1) for level, width in used})
        self.outputs = nn.ModuleDict({str(level): convolution(out_channels, 3) for level in out_levels})
        adapt_on_load(self, _keep_new_levels)

    def forward(self, stages: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Returns the levels, maps (N, out_channels, H, W) from fine to coarse, for the maps of the stages.

        Raises:
            ValueError: The number of maps is not the number of ``levels``.
        """
        if len(stages) != len(self.levels):
            raise ValueError(
                f'TopDownNeck got {len(stages)} maps for levels={self.levels}: change out_indices or levels'
            )
        merged: dict[int, Tensor] = {}
        above: Tensor | None = None
        for level, stage in list(zip(self.levels, stages))[: self.first_used - 1 if self.first_used else None : -1]:
            lateral = self.laterals[str(level)](stage)
            above = lateral if above is None else lateral + interpolate(above, lateral.shape[-2:], mode='nearest')
            merged[level] = above
        maps = [self.outputs[str(level)](merged[level]) for level in self.out_levels]
        while len(maps) < self.num_outs:
            maps.append(max_pool2d(maps[-1], 1, stride=2))
        return tuple(maps)


def _keep_new_levels(neck: TopDownNeck, state_dict: dict, prefix: str, *args: Any) -> None:
    """Adds the neck's own convolutions to a state dict that has others of its convolutions, but none of these."""
    own = neck.state_dict()
    parts = {name.rsplit('.', 2)[0] for name in own}  # laterals.3, outputs.4, ...
    missing = {part for part in parts if not any(key.startswith(f'{prefix}{part}.') for key in state_dict)}
    if not missing or missing == parts:
        return
    state_dict.update({prefix + name: value for name, value in own.items() if name.rsplit('.', 2)[0] in missing})
    print_log(
        f'neck: not in the file, so they keep their initial values: {", ".join(sorted(missing))}',
        logger='current',
        level=logging.WARNING,
    )

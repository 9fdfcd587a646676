"""The small VGG network of AdderNet (Chen et al., 2020, arXiv:1912.13200)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone, he_normal
from mmssl.models.layers.adder_unit import adder_unit
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class AdderVGG(StagedBackbone):
    """VGG-small: 3x3 layers of 128, 128, 256, 256, 512 and 512 channels, each with batch norm and ReLU.

    The first layer is a convolution, the other five are adder layers. The map of a stage is what precedes the pooling
    behind it (a maximum over 2 x 2), so maps have strides of 1, 2 and 4 pixels. The official repository does not
    contain this network: its layers are those of the binary networks that the paper compares with, and the mean over
    the last map, on which a classifier stands here, is this project's choice.

    Args:
        width: Multiplies the channels of every layer.
        adder: False gives ordinary convolutions: the same network, to compare with.
        out_indices: Stages, 0 to 2, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the first layer and the first i stages; what is frozen stays in
            eval mode.
        norm_eval: Keep every batch norm in eval mode, its running statistics fixed.
        init_cfg: MMEngine's initialisation config. Convolutions begin with He's normal with fan-out.

    Raises:
        ValueError: ``out_indices`` or ``frozen_stages`` name other stages.
    """

    def __init__(
        self,
        width: float = 1,
        adder: bool = True,
        out_indices: Sequence[int] = (2,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        c1, c2, c3 = (int(width * channels) for channels in (128, 256, 512))
        stages = [
            nn.Sequential(adder_unit(c1, c1, 3, 1, adder)),
            nn.Sequential(nn.MaxPool2d(2), adder_unit(c1, c2, 3, 1, adder), adder_unit(c2, c2, 3, 1, adder)),
            nn.Sequential(nn.MaxPool2d(2), adder_unit(c2, c3, 3, 1, adder), adder_unit(c3, c3, 3, 1, adder)),
        ]
        self._build(adder_unit(3, c1, 3, 1, adder=False), stages)
        self.feature_dim = (c1, c2, c3)[max(self.out_indices)]
        he_normal(self)

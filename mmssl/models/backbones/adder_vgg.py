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

    The first layer is a convolution, the other five are adder layers. The map of a stage is taken before the pooling
    that follows it (a maximum over 2 x 2), so maps have strides of 1, 2 and 4 pixels. The official repository does not
    contain this network. Its layers are those of the binary networks with which the paper compares; the mean over the
    last map as the input of a classifier is this project's choice.

    Args:
        width: Factor of the channels of every layer.
        adder: Whether to use adder layers; False builds the same network with convolutions, for comparison.
        out_indices: Stages, 0 to 2, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the first layer and the first i stages; frozen layers stay in
            evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config. By default convolutions are initialised with He's normal with
            fan-out.

    Raises:
        ValueError: ``out_indices`` or ``frozen_stages`` name a stage that does not exist.
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

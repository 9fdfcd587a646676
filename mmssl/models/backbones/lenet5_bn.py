"""LeNet-5 with batch norm and adder layers (LeCun et al., 1998; Chen et al., 2020, arXiv:1912.13200)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone, he_normal
from mmssl.models.layers.adder_unit import adder_unit
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class LeNet5BN(StagedBackbone):
    """5x5 layers of 6, 16 and 120 channels with poolings, and a 1x1 layer of 84, each with batch norm and ReLU.

    The first layer is a convolution with padding 2; the others are adder layers. Poolings are maxima over 2 x 2. Images
    of 28 pixels give maps of 10, 1 and 1 pixels. The official repository does not contain this network. The paper says
    that only the first and the last layer multiply, so this project makes the layer of 84 an adder layer.

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
        c1, c2, c3, c4 = (int(width * channels) for channels in (6, 16, 120, 84))
        stages = [
            nn.Sequential(nn.MaxPool2d(2), adder_unit(c1, c2, 5, 0, adder)),
            nn.Sequential(nn.MaxPool2d(2), adder_unit(c2, c3, 5, 0, adder)),
            nn.Sequential(adder_unit(c3, c4, 1, 0, adder)),
        ]
        self._build(adder_unit(3, c1, 5, 2, adder=False), stages)
        self.feature_dim = (c2, c3, c4)[max(self.out_indices)]
        he_normal(self)

"""The encoder of the context encoder."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone
from mmssl.models.layers.initialization import dcgan_normal
from mmssl.registry import BACKBONES

CHANNELS = (64, 64, 128, 256, 512)


@BACKBONES.register_module()
class ContextEncoderNet(StagedBackbone):
    """Five 4 x 4 convolutions with stride 2, batch norm (not after the first) and leaky ReLU (arXiv:1604.07379).

    The encoder of the official in-painting network without its bottleneck, which belongs to ``InpaintingGenerator``.
    Images of 128 pixels become maps of 4 x 4. Convolutions have no bias: the official code sets it to 0 before every
    evaluation.

    Args:
        width: Factor of the channels of every layer.
        out_indices: Stages, 0 to 4, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the first i stages; frozen layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        width: float = 1.0,
        out_indices: Sequence[int] = (4,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        inputs, stages = 3, []
        for index, channels in enumerate(CHANNELS):
            outputs = int(channels * width)
            unit: OrderedDict[str, nn.Module] = OrderedDict()
            unit['conv'] = nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)
            if index > 0:
                unit['bn'] = nn.BatchNorm2d(outputs)
            unit['act'] = nn.LeakyReLU(0.2, inplace=True)
            stages.append(nn.Sequential(OrderedDict({'0': nn.Sequential(unit)})))
            inputs = outputs
        self._build(nn.Identity(), stages)
        self.feature_dim = int(CHANNELS[max(self.out_indices)] * width)
        self.apply(dcgan_normal)

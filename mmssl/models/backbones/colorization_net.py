"""The network of Colorful Image Colorization."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone, he_normal
from mmssl.models.components.lightness import Lightness
from mmssl.registry import BACKBONES

# Channels, number of convolutions, stride of the last one, dilation of each stage.
STAGES = ((64, 2, 2, 1), (128, 2, 2, 1), (256, 3, 2, 1), (512, 3, 1, 1), (512, 3, 1, 2), (512, 3, 1, 2), (512, 3, 1, 1))


@BACKBONES.register_module()
class ColorizationNet(StagedBackbone):
    """Seven stages of 3 x 3 convolutions on the lightness of an image (Zhang et al., 2016, arXiv:1603.08511, Fig. 2).

    Each convolution is followed by a ReLU, each stage ends with a batch norm. The last map has an eighth of the image's
    resolution. ``ColorUpsampler`` is the eighth stage.

    Args:
        width: Factor of the channels of every layer.
        lightness: Arguments of ``Lightness`` without ``channels``: ``mean`` and ``std`` of the preprocessor.
        out_indices: Stages, 0 to 6, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the first i stages; frozen layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        width: float = 1.0,
        lightness: dict | None = None,
        out_indices: Sequence[int] = (6,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        inputs, stages = 1, []
        for channels, number, stride, dilation in STAGES:
            outputs, layers = int(channels * width), nn.Sequential()
            for index in range(number):
                step = stride if index == number - 1 else 1
                layers.append(nn.Conv2d(inputs, outputs, 3, step, padding=dilation, dilation=dilation))
                layers.append(nn.ReLU(inplace=True))
                inputs = outputs
            stages.append(layers.append(nn.BatchNorm2d(outputs)))
        self._build(Lightness(channels=1, **(lightness or {})), stages)
        self.feature_dim = int(STAGES[max(self.out_indices)][0] * width)
        he_normal(self)

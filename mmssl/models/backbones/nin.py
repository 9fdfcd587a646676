"""Network in network (Lin et al., 2014, arXiv:1312.4400) with batch norm, RotNet's network for images of 32 pixels."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone
from mmssl.models.layers.conv_unit import conv_unit
from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class NIN(StagedBackbone):
    """Stages of one convolution and two 1 x 1 convolutions, each with batch norm and ReLU and without bias.

    The first stage ends with max pooling over 3 x 3 with stride 2, the second with average pooling over 3 x 3 with
    stride 2, which includes the padded zeros; later stages have no pooling. The map of a stage is taken after its
    pooling. For an image of 32 pixels the first map has 96 channels and 16 x 16 pixels, the others 192 channels and 8 x
    8 pixels.

    Args:
        num_stages: Number of stages, at least 2: 4 in RotNet, 3 in its supervised baseline.
        width: Factor of the channels of every convolution.
        out_indices: Stages, counted from 0, whose maps are returned; None returns the map of the last stage.
        frozen_stages: -1 trains everything, i freezes the first i stages; frozen layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config. By default layers keep PyTorch's initialisation, as in the official
            code.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        num_stages: int = 4,
        width: float = 1,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__((num_stages - 1,) if out_indices is None else out_indices, frozen_stages, norm_eval, init_cfg)
        if num_stages < 2:
            raise ValueError(f'num_stages must be at least 2, got {num_stages}')
        inputs, stages, last = 3, [], []
        for index in range(num_stages):
            channels = [int(width * base) for base in ((192, 160, 96) if index == 0 else (192, 192, 192))]
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for unit, outputs in enumerate(channels):
                kernel = 1 if unit else 5 if index < 2 else 3
                layers[str(unit)] = conv_unit(inputs, outputs, kernel, bias=False)
                inputs = outputs
            if index < 2:
                layers['pool'] = (nn.MaxPool2d, nn.AvgPool2d)[index](3, 2, padding=1)
            stages.append(nn.Sequential(layers))
            last.append(inputs)
        self._build(nn.Identity(), stages)
        self.feature_dim = last[max(self.out_indices)]

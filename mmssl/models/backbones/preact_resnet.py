"""Residual networks with norms before convolutions (He et al., 2016, arXiv:1603.05027)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import relu

from mmssl.models.backbones.staged_backbone import StagedBackbone
from mmssl.registry import BACKBONES

EXPANSION = 4  # output channels of a bottleneck / channels of its 3x3 convolution
DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


@BACKBONES.register_module()
class PreActResNet(StagedBackbone):
    """Pre-activation ResNet with bottlenecks, as SeLa's official code builds it (``resnetv2``).

    In contrast to the paper no norm follows the first convolution, and none follows the last block: the returned maps
    are sums of residual branches, without a ReLU. Layers have PyTorch's default initialisation, as in that code.

    Args:
        depth: Number of layers: 50, 101 or 152.
        width: Factor of the channels of every layer.
        out_indices: Stages, 0 to 3, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the first convolution and the first i stages; frozen layers stay
            in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        depth: int = 50,
        width: float = 1,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        if depth not in DEPTHS:
            raise ValueError(f'depth must be one of {sorted(DEPTHS)}, got {depth}')
        inputs = int(64 * width)
        stem = OrderedDict(conv=nn.Conv2d(3, inputs, 7, 2, padding=3, bias=False), pool=nn.MaxPool2d(3, 2, padding=1))
        stages = []
        for index, number in enumerate(DEPTHS[depth]):
            channels = int(64 * width) * 2**index
            stage = nn.Sequential()
            for block in range(number):
                stage.append(PreActBottleneck(inputs, channels, 2 if index > 0 and block == 0 else 1))
                inputs = EXPANSION * channels
            stages.append(stage)
        self._build(nn.Sequential(stem), stages)
        self.feature_dim = EXPANSION * int(64 * width) * 2 ** max(self.out_indices)


class PreActBottleneck(nn.Module):
    """``shortcut + conv3(act3(conv2(act2(conv1(act1(x))))))``, with ``act`` a batch norm and a ReLU.

    The shortcut is ``x``; where the shape changes, it is a convolution of ``act1(x)``.

    Args:
        inputs: Number of input channels.
        channels: Number of channels of the 3x3 convolution; the output has ``EXPANSION`` times as many.
        stride: Stride of the 3x3 convolution.
    """

    def __init__(self, inputs: int, channels: int, stride: int) -> None:
        super().__init__()
        outputs = EXPANSION * channels
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, outputs, 1, bias=False)
        changes = (stride, inputs) != (1, outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, 4 * ``channels``, H / stride, W / stride) for ``x`` (N, ``inputs``, H, W)."""
        active = relu(self.bn1(x))
        branch = self.conv2(relu(self.bn2(self.conv1(active))))
        branch = self.conv3(relu(self.bn3(branch)))
        return branch + (x if self.shortcut is None else self.shortcut(active))

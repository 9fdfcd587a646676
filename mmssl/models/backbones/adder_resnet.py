"""Residual networks of adder layers (Chen et al., 2020, arXiv:1912.13200)."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

from mmssl.models.backbones.staged_backbone import he_normal
from mmssl.models.layers.adder_unit import use_adders
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loading import skip_on_load
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices

# depth -> block, blocks of each stage, channels of the stem
DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...], int]] = {
    18: (BasicBlock, (2, 2, 2, 2), 64),
    20: (BasicBlock, (3, 3, 3), 16),
    32: (BasicBlock, (5, 5, 5), 16),
    50: (Bottleneck, (3, 4, 6, 3), 64),
}


@BACKBONES.register_module()
class AdderResNet(OrderedLayers, BaseModule):
    """ResNet with adder layers instead of all convolutions, also in the shortcuts, except the first convolution.

    Parameters have the names of ``ResNet`` and of the official code; filters are called ``adder``. As in ``ResNet``,
    stages after the last of ``out_indices`` are not built. In a bottleneck the 3x3 layer has the stride.

    Convolutions are initialised with He's normal with fan-out. The official ResNet-20 keeps PyTorch's default for the
    first convolution, which has 0.94 times this standard deviation; a batch norm follows it.

    Args:
        depth: Number of layers: 18 or 50 (four stages of 64 to 512 channels, times 4 in bottlenecks), or 20 or 32
            (three stages of 16 to 64 channels) for small images.
        width: Factor of the channels of every layer.
        stem: First layers: ``'imagenet'`` (7x7 stride 2, then max-pool), ``'small'`` (3x3 stride 1, no max-pool), or
            ``'auto'``, small for depths 20 and 32.
        adder: Whether to use adder layers; False builds the same network with convolutions, for comparison.
        out_indices: Stages, counted from 0, whose maps are returned; None returns the map of the last stage.
        frozen_stages: -1 trains everything, 0 freezes the stem, i freezes the stem and the first i stages; frozen
            layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        depth: int = 20,
        width: float = 1,
        stem: str = 'auto',
        adder: bool = True,
        out_indices: Sequence[int] | None = None,
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if depth not in DEPTHS:
            raise ValueError(f'depth must be one of {sorted(DEPTHS)}, got {depth}')
        check_choices(stem=(stem, ('auto', 'imagenet', 'small')))
        block, blocks, channels = DEPTHS[depth]
        last = len(blocks) - 1
        out_indices = (last,) if out_indices is None else tuple(out_indices)
        if not out_indices or not set(out_indices) <= set(range(last + 1)):
            raise ValueError(f'out_indices must name stages 0 to {last}, got {out_indices}')
        if not -1 <= frozen_stages <= last + 1:
            raise ValueError(f'frozen_stages must lie in -1 to {last + 1}, got {frozen_stages}')
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        channels = int(channels * width)
        small = stem == 'small' or stem == 'auto' and last == 2
        self.conv1 = nn.Conv2d(3, channels, *((3, 1, 1) if small else (7, 2, 3)), bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.Identity() if small else nn.MaxPool2d(3, 2, padding=1)
        self.num_stages = max(out_indices) + 1
        self.feature_dim = channels
        for index in range(self.num_stages):
            stage = self._stage(block, channels * 2**index, blocks[index], stride=1 if index == 0 else 2)
            if adder:
                use_adders(stage)
            self.add_module(f'layer{index + 1}', stage)
        skip_on_load(self, *(f'layer{index + 1}.' for index in range(self.num_stages, last + 1)))
        he_normal(self)
        self._freeze()

    def _stage(
        self, block: type[BasicBlock] | type[Bottleneck], planes: int, blocks: int, stride: int
    ) -> nn.Sequential:
        inputs, outputs = self.feature_dim, planes * block.expansion
        shortcut = None
        if stride != 1 or inputs != outputs:
            shortcut = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
        self.feature_dim = outputs
        others = (block(outputs, planes) for _ in range(1, blocks))
        return nn.Sequential(block(inputs, planes, stride, shortcut), *others)

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the residual blocks of all stages."""
        stages = [self.get_submodule(f'layer{index + 1}') for index in range(self.num_stages)]
        return [block for stage in stages for block in stage.children()]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns the maps (N, C_i, H_i, W_i) of the stages in ``out_indices``, in ascending order.

        Args:
            images: (N, 3, H, W), normalised.
        """
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for index in range(self.num_stages):
            x = getattr(self, f'layer{index + 1}')(x)
            if index in self.out_indices:
                maps.append(x)
        return tuple(maps)

    def train(self, mode: bool = True) -> AdderResNet:
        """Sets the training mode; frozen layers, and with ``norm_eval`` all batch norms, stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages >= 0:
            stages = [f'layer{index + 1}' for index in range(min(self.frozen_stages, self.num_stages))]
            for name in ['conv1', 'bn1', *stages]:
                getattr(self, name).eval().requires_grad_(False)

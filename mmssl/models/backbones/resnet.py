"""Residual networks (He et al., 2016, arXiv:1512.03385) built from torchvision's blocks."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.models.resnet import BasicBlock, Bottleneck, conv1x1

from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loading import skip_on_load
from mmssl.registry import BACKBONES

DEPTHS: dict[int, tuple[type[BasicBlock] | type[Bottleneck], tuple[int, ...]]] = {
    10: (BasicBlock, (1, 1, 1, 1)),  # not in torchvision
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
    200: (Bottleneck, (3, 24, 36, 3)),
}


@BACKBONES.register_module()
class ResNet(OrderedLayers, BaseModule):
    """ResNet v1.5 (stride in the 3x3 convolution) with torchvision's parameter names and without classifier.

    Stages after the last of ``out_indices`` are not built, so every trained parameter receives a gradient. A checkpoint
    of the whole network loads too; the tensors of those stages are ignored.

    Args:
        depth: Number of layers: 10, 18, 34, 50, 101, 152 or 200.
        width: Factor of the channels of every layer, including stem and output: the 2x and 4x of SimCLR and BYOL.
        width_per_group: Width of the inner 3x3 convolution in the stage of 64 channels, as in torchvision: 128 gives
            ``wide_resnet50_2``, whose output is as wide as ResNet-50's. For depths with bottlenecks only.
        stem: First layers: ``'imagenet'`` (7x7 stride 2, then max-pool) or ``'small'`` (3x3 stride 1, no max-pool) for
            images of about 32 pixels.
        output_stride: Number of image pixels per pixel of the last map, with the ImageNet stem: 32; or, for depths with
            bottlenecks, 16 or 8, where the last one or two stages use dilation instead of stride, as with torchvision's
            ``replace_stride_with_dilation``.
        out_indices: Stages, 0 to 3, whose maps are returned.
        frozen_stages: -1 trains everything, 0 freezes the stem, i freezes the stem and the first i stages; frozen
            layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        zero_init_residual: Whether the scale of the last norm of each block is initialised with 0, so that a block is
            the identity at first.
        conv_init: Initialisation of convolutions: ``'he'``, torchvision's normal with fan-out; or ``'lecun'``, a
            truncated normal of variance 1 / fan-in, as in the TensorFlow and JAX codes of SimCLR and BYOL.
        init_cfg: MMEngine's initialisation config, such as ``dict(type='Pretrained', checkpoint=...)``.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        depth: int = 50,
        width: float = 1,
        width_per_group: int = 64,
        stem: str = 'imagenet',
        output_stride: int = 32,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        zero_init_residual: bool = False,
        conv_init: str = 'he',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if depth not in DEPTHS:
            raise ValueError(f'depth must be one of {sorted(DEPTHS)}, got {depth}')
        if stem not in ('imagenet', 'small'):
            raise ValueError(f"stem must be 'imagenet' or 'small', got {stem!r}")
        if not out_indices or not set(out_indices) <= set(range(4)):
            raise ValueError(f'out_indices must name stages 0 to 3, got {out_indices}')
        if not -1 <= frozen_stages <= 4:
            raise ValueError(f'frozen_stages must lie in -1 to 4, got {frozen_stages}')
        block, blocks = DEPTHS[depth]
        if output_stride not in ((8, 16, 32) if block is Bottleneck else (32,)):
            raise ValueError(f'output_stride must be 32, for depths with bottlenecks also 16 or 8, got {output_stride}')
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval

        channels = int(64 * width)
        kernel, stride = (7, 2) if stem == 'imagenet' else (3, 1)
        self.conv1 = nn.Conv2d(3, channels, kernel, stride, padding=kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1) if stem == 'imagenet' else nn.Identity()
        self.num_stages = max(out_indices) + 1
        inputs, dilation = channels, 1
        for index in range(self.num_stages):
            planes = channels * 2**index
            first_dilation, stride = dilation, 1 if index == 0 else 2
            if 4 * 2**index > output_stride:
                dilation, stride = 2 * dilation, 1
            dilations = first_dilation, dilation
            stage = _stage(block, inputs, planes, blocks[index], stride, width_per_group, dilations)
            self.add_module(f'layer{index + 1}', stage)
            inputs = planes * block.expansion
        self.feature_dim = inputs
        skip_on_load(self, *(f'layer{index + 1}.' for index in range(self.num_stages, 4)))

        self._init_parameters(zero_init_residual, conv_init)
        self._freeze()

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

    def train(self, mode: bool = True) -> ResNet:
        """Sets the training mode; frozen layers, and with ``norm_eval`` all batch norms, stay in evaluation mode."""
        super().train(mode)
        self._freeze()
        if self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        stages = [f'layer{index + 1}' for index in range(min(self.frozen_stages, self.num_stages))]
        for name in ['conv1', 'bn1', *stages]:
            getattr(self, name).eval().requires_grad_(False)

    def _init_parameters(self, zero_init_residual: bool, conv_init: str) -> None:
        if conv_init not in ('he', 'lecun'):
            raise ValueError(f"conv_init must be 'he' or 'lecun', got {conv_init!r}")
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if conv_init == 'he':
                    nn.init.kaiming_normal_(module.weight, mode='fan_out', nonlinearity='relu')
                else:
                    # 0.8796 is the standard deviation of a unit normal that is truncated at +-2.
                    std = module.weight[0].numel() ** -0.5 / 0.87962566
                    trunc_normal_(module.weight, std=std, a=-2 * std, b=2 * std)
            elif zero_init_residual and isinstance(module, (BasicBlock, Bottleneck)):
                last_norm = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                nn.init.zeros_(last_norm.weight)


def _stage(
    block: type[BasicBlock] | type[Bottleneck],
    inputs: int,
    planes: int,
    blocks: int,
    stride: int,
    inner: int,
    dilations: tuple[int, int],
) -> nn.Sequential:
    """Builds a stage of ``blocks`` blocks.

    The first block has the stride, the convolution of the shortcut and the first of ``dilations``; the others have the
    second dilation.
    """
    outputs = planes * block.expansion
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(conv1x1(inputs, outputs, stride), nn.BatchNorm2d(outputs))
    first = block(inputs, planes, stride, shortcut, base_width=inner, dilation=dilations[0])
    others = (block(outputs, planes, base_width=inner, dilation=dilations[1]) for _ in range(blocks - 1))
    return nn.Sequential(first, *others)

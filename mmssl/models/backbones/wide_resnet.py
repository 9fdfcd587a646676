"""Wide residual networks (Zagoruyko and Komodakis, 2016, arXiv:1605.07146) for small images."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from mmssl.models.backbones.staged_backbone import StagedBackbone, he_normal
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices


@BACKBONES.register_module()
class WideResNet(StagedBackbone):
    """A convolution, three stages of pre-activation blocks with two 3 x 3 convolutions each, and a final norm.

    RotNet, BoWNet and OBoW use the variant ``'zagoruyko'``, Madry's robust networks and IGAM the variant ``'madry'``,
    which needs images whose sides are multiples of the product of the strides:

    | | zagoruyko | madry |
    |---|---|---|
    | activation | ReLU | leaky ReLU, slope 0.1 |
    | epsilon of norms | 1e-5 | 1e-3 |
    | norm before the first block of a stage | at the end of the stage before | in the block, in stages 1 and 2 |
    | shortcut if the shape changes | 1 x 1 convolution | mean over stride x stride, zero channels on both sides |
    | padding of 3 x 3 convolutions with stride 2 | (1, 1) | (0, 1), as in TensorFlow |
    | norm and activation of returned maps | all maps | only the last map |

    Args:
        depth: Number of convolutions in sequence plus the classifier: 28 and 40, for example, mean 4 and 6 blocks per
            stage; Madry's code uses 32 for its network of 5 blocks per stage.
        width_factor: Factor of the 16, 32 and 64 channels of the stages.
        strides: Strides of the three stages: (1, 2, 2) for images of 32 pixels; OBoW's default is (2, 2, 2).
        variant: Variant of the network: ``'zagoruyko'`` or ``'madry'``.
        out_indices: Stages, 0 to 2, whose maps are returned.
        frozen_stages: -1 trains everything, i freezes the first convolution and the first i stages; frozen layers stay
            in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config. By default convolutions are initialised with He's normal with
            fan-out.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        depth: int = 28,
        width_factor: int = 10,
        strides: Sequence[int] = (1, 2, 2),
        variant: str = 'zagoruyko',
        out_indices: Sequence[int] = (2,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        check_choices(variant=(variant, ('zagoruyko', 'madry')))
        if depth < 8 or depth % 6 not in ((2, 4) if variant == 'madry' else (4,)):
            raise ValueError(f'depth must be 6 n + 4 (28, 40), in the variant madry also 6 n + 2 (32), got {depth}')
        if len(strides) != 3:
            raise ValueError(f'strides must be three numbers, got {tuple(strides)}')
        is_madry = variant == 'madry'
        stem = nn.Sequential(OrderedDict(conv=_conv3x3(3, 16, 1, is_madry), **_activation(16, is_madry)))
        inputs, stages = 16, []
        for index, stride in enumerate(strides):
            outputs = 16 * 2**index * width_factor
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            for block in range((depth - 2) // 6):
                has_norm = block > 0 or is_madry and index > 0
                layers[str(block)] = WideBlock(inputs, outputs, stride if block == 0 else 1, has_norm, is_madry)
                inputs = outputs
            if index == 2 or not is_madry:
                layers.update(_activation(outputs, is_madry))
            stages.append(nn.Sequential(layers))
        self._build(stem, stages)
        self.feature_dim = 16 * 2 ** max(self.out_indices) * width_factor
        he_normal(self)


class WideBlock(nn.Module):
    """``x + conv2(act2(conv1(act1(x))))``, with ``act`` a batch norm and a ReLU.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        stride: Stride of the first convolution.
        has_norm: Whether the block has ``act1``; if False its input is already activated.
        is_madry: Whether the block belongs to the variant ``'madry'``.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, has_norm: bool, is_madry: bool) -> None:
        super().__init__()
        self.act1: nn.Module = nn.Sequential(_activation(inputs, is_madry)) if has_norm else nn.Identity()
        self.conv1 = _conv3x3(inputs, outputs, stride, is_madry)
        self.act2 = nn.Sequential(_activation(outputs, is_madry))
        self.conv2 = _conv3x3(outputs, outputs, 1, is_madry)
        self.shortcut: nn.Module = nn.Identity()
        if is_madry and (stride, inputs) != (1, outputs):
            self.shortcut = PooledShortcut(outputs - inputs, stride)
        elif (stride, inputs) != (1, outputs):
            self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, ``outputs``, H / stride, W / stride) for ``x`` (N, ``inputs``, H, W)."""
        return self.conv2(self.act2(self.conv1(self.act1(x)))) + self.shortcut(x)


class PooledShortcut(nn.Module):
    """A shortcut without parameters: the mean over stride x stride pixels, with zero channels on both sides.

    Args:
        added: Number of zero channels; the smaller half comes first.
        stride: Side and stride of the pooling.
    """

    def __init__(self, added: int, stride: int) -> None:
        super().__init__()
        self.added = added
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        """Returns (N, C + ``added``, H / stride, W / stride) for ``x`` (N, C, H, W).

        Raises:
            ValueError: The stride does not divide H and W.
        """
        height, width = x.shape[-2:]
        if height % self.stride or width % self.stride:
            raise ValueError(
                f"variant='madry' takes the mean over {self.stride} x {self.stride} pixels, which do not fill a map of "
                f'{height} x {width}: the sides of images must be multiples of the product of all strides'
            )
        return pad(avg_pool2d(x, self.stride), (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))


def _activation(channels: int, is_madry: bool) -> OrderedDict[str, nn.Module]:
    norm = nn.BatchNorm2d(channels, eps=1e-3 if is_madry else 1e-5)
    return OrderedDict(bn=norm, relu=nn.LeakyReLU(0.1, inplace=True) if is_madry else nn.ReLU(inplace=True))


def _conv3x3(inputs: int, outputs: int, stride: int, is_madry: bool) -> nn.Module:
    if is_madry and stride > 1:
        return SameConv2d(inputs, outputs, 3, stride, bias=False)
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class SameConv2d(nn.Conv2d):
    """A convolution with the padding of TensorFlow's ``SAME``; of an odd number, the larger half is at the end."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """Returns (N, T, ceil(H / stride), ceil(W / stride)), T output channels, for ``x`` (N, C, H, W)."""
        missing = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0)
            for size, stride, kernel in zip(x.shape[-2:], self.stride, self.kernel_size)
        ]
        (top, bottom), (left, right) = ((total // 2, total - total // 2) for total in missing)
        return super().forward(pad(x, (left, right, top, bottom)))

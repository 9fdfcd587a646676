"""AlexNet (Krizhevsky et al., 2012) with batch norm, as self-supervised methods use it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone, he_normal
from mmssl.models.layers.conv_unit import conv_unit
from mmssl.models.layers.fully_connected import FullyConnected
from mmssl.models.layers.sobel import Sobel
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices

KERNELS = (11, 5, 3, 3, 3)
POOLED = (0, 1, 4)  # stages followed by a pooling that halves the map


@BACKBONES.register_module()
class AlexNet(StagedBackbone):
    """Five convolutions with batch norm and ReLU, and with ``fc`` the layers fc6 and fc7.

    A stage is one convolution; its map is taken after the ReLU and before the pooling, and is 55, 27, 13, 13 or 13
    pixels wide for images of 224 pixels. The poolings are maxima over 3 x 3 with stride 2 and without padding.

    | method | arguments |
    |---|---|
    | DeepCluster | ``sobel=True, fc=dict(dropout=(.5, .5), last_relu=False)`` |
    | SeLa | ``fc=dict(dropout=(.5, .5))``; its small network: ``channels=(64, 192, 384, 256, 256)`` |
    | RotNet | ``channels=(64, 192, 384, 256, 256), fc=dict(norm=True), init='torch'`` |

    Args:
        channels: Numbers of channels of the five convolutions.
        stem: First convolution: ``'imagenet'`` (11 x 11, stride 4), or ``'small'`` (3 x 3, stride 1) for images of
            about 32 pixels, which is not a published network.
        sobel: Whether the input of the network is the image's Sobel gradients instead of its colours.
        fc: Arguments of ``FullyConnected`` without ``in_features`` and ``pool``; the backbone then returns the vector
            of fc7. None returns maps.
        img_size: Side of the images in pixels, which is fixed with ``fc``; without ``fc`` any size is possible.
        out_indices: Stages, 0 to 4, whose maps are returned without ``fc``.
        frozen_stages: -1 trains everything, i freezes the first i stages; frozen layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init: Initialisation: ``'he'`` as in DeepCluster (convolutions He normal with fan-out, linear layers N(0, 0.01),
            biases 0), or ``'torch'``, PyTorch's default.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        channels: Sequence[int] = (96, 256, 384, 384, 256),
        stem: str = 'imagenet',
        sobel: bool = False,
        fc: dict | None = None,
        img_size: int = 224,
        out_indices: Sequence[int] = (4,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init: str = 'he',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        check_choices(stem=(stem, ('imagenet', 'small')), init=(init, ('he', 'torch')))
        if len(channels) != len(KERNELS):
            raise ValueError(f'channels must be {len(KERNELS)} numbers, got {tuple(channels)}')
        inputs, side, stages = 2 if sobel else 3, img_size, []
        for index, outputs in enumerate(channels):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if index - 1 in POOLED:
                layers['pool'] = nn.MaxPool2d(3, 2)
                side = (side - 3) // 2 + 1
            if index == 0 and stem == 'imagenet':
                layers['0'] = conv_unit(inputs, outputs, 11, stride=4, padding=2)
                side = (side + 2 * 2 - 11) // 4 + 1
            else:
                layers['0'] = conv_unit(inputs, outputs, 3 if index == 0 else KERNELS[index])
            stages.append(nn.Sequential(layers))
            inputs = outputs
        head = None
        if fc is not None:
            side = (side - 3) // 2 + 1
            if side < 1:
                raise ValueError(f'img_size={img_size} is too small: the map after the last pooling would be empty')
            head = FullyConnected(channels[-1] * side**2, nn.MaxPool2d(3, 2), **fc)
        self._build(Sobel() if sobel else nn.Identity(), stages, head)
        self.feature_dim = channels[max(self.out_indices)] if head is None else head.fc7.out_features
        if init == 'he':
            he_normal(self)

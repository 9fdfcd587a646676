"""VGG-16 (Simonyan and Zisserman, 2015, arXiv:1409.1556) with batch norm."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import nn

from mmssl.models.backbones.staged_backbone import StagedBackbone, he_normal
from mmssl.models.layers.conv_unit import conv_unit
from mmssl.models.layers.fully_connected import FullyConnected
from mmssl.models.layers.sobel import Sobel
from mmssl.registry import BACKBONES

UNITS = (2, 2, 3, 3, 3)


@BACKBONES.register_module()
class VGG16(StagedBackbone):
    """Configuration D: five stages of 3 x 3 convolutions with batch norm and ReLU, and with ``fc`` layers fc6 and fc7.

    The map of a stage is taken before the pooling that follows it (a maximum over 2 x 2), so maps have strides of 1, 2,
    4, 8 and 16 pixels. DeepCluster uses ``sobel=True, fc=dict(dropout=(0, .5), last_relu=False)``.

    Args:
        width: Factor of the channels of every convolution.
        sobel: Whether the input of the network is the image's Sobel gradients instead of its colours.
        fc: Arguments of ``FullyConnected`` without ``in_features`` and ``pool``; the backbone then returns the vector
            of fc7. None returns maps.
        img_size: Side of the images in pixels, at least 32, which is fixed with ``fc``; without ``fc`` any size is
            possible.
        out_indices: Stages, 0 to 4, whose maps are returned without ``fc``.
        frozen_stages: -1 trains everything, i freezes the first i stages; frozen layers stay in evaluation mode.
        norm_eval: Whether all batch norms stay in evaluation mode, with fixed running statistics.
        init_cfg: MMEngine's initialisation config. The default initialisation is DeepCluster's: convolutions He normal
            with fan-out, linear layers N(0, 0.01), biases 0.

    Raises:
        ValueError: An argument has another value than those above.
    """

    def __init__(
        self,
        width: float = 1,
        sobel: bool = False,
        fc: dict | None = None,
        img_size: int = 224,
        out_indices: Sequence[int] = (4,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(out_indices, frozen_stages, norm_eval, init_cfg)
        channels = [int(width * base) for base in (64, 128, 256, 512, 512)]
        inputs, stages = 2 if sobel else 3, []
        for index, (outputs, units) in enumerate(zip(channels, UNITS)):
            layers: OrderedDict[str, nn.Module] = OrderedDict()
            if index > 0:
                layers['pool'] = nn.MaxPool2d(2)
            for unit in range(units):
                layers[str(unit)] = conv_unit(inputs, outputs, 3)
                inputs = outputs
            stages.append(nn.Sequential(layers))
        head = None
        if fc is not None:
            if img_size < 32:
                raise ValueError(f'five poolings need images of at least 32 pixels, got img_size={img_size}')
            head = FullyConnected(channels[-1] * (img_size // 32) ** 2, nn.MaxPool2d(2), **fc)
        self._build(Sobel() if sobel else nn.Identity(), stages, head)
        self.feature_dim = channels[max(self.out_indices)] if head is None else head.fc7.out_features
        he_normal(self)

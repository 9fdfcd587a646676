"""Features of the stages of convolutional backbones, pooled to about nine thousand numbers each."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, avg_pool2d

from mmssl.models.backbones.adder_resnet import AdderResNet
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.staged_backbone import StagedBackbone

# Kernel, stride and padding of the average pooling (Goyal et al., 2019, arXiv:1905.01235). At 224 px a ResNet-50 then
# has 9216, 9216, 8192, 9216 and 8192 features.
POOLS = dict(conv1=(10, 10, 4), res2=(16, 8, 0), res3=(13, 5, 0), res4=(8, 3, 0), res5=(6, 1, 0))


# Stages of AlexNet, VGG16, NIN and WideResNet. RotNet's probe (arXiv:1803.07728) pools the maps of its AlexNet to 12,
# 7, 5, 6 and 6 pixels by maxima, which are the largest squares of no more than 9600 features: that is done for all.
CONV_STAGES = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5')
LARGEST = 9600


def pooled_stage(backbone: nn.Module, stage: str) -> Callable[[Tensor], Tensor]:
    """Returns the function from images (N, 3, H, W) to the pooled, flattened map of a stage, (N, D).

    Args:
        backbone: Built at least as deep as the stage.
        stage: For a ResNet or AdderResNet, ``'conv1'`` (after norm and ReLU), ``'res2'``, ``'res3'``, ``'res4'`` or
            ``'res5'``; for an AlexNet, VGG16, NIN or WideResNet ``'conv1'`` to ``'conv5'``, the maps of its stages.

    Raises:
        ValueError: There is no such stage, or the backbone is none of these.
    """
    if isinstance(backbone, StagedBackbone):
        return _pooled_conv(backbone, stage)
    if stage not in POOLS or not isinstance(backbone, (ResNet, AdderResNet)):
        raise ValueError(
            f'stages of a ResNet are {", ".join(POOLS)}, those of an AlexNet {", ".join(CONV_STAGES)}; '
            f"got {stage!r} of a {type(backbone).__name__}: other backbones have 'vector' alone"
        )
    number = list(POOLS).index(stage)
    if number > backbone.num_stages:
        raise ValueError(f'the backbone ends before {stage}: build it with out_indices=(3,)')

    def features(images: Tensor) -> Tensor:
        x = backbone.relu(backbone.bn1(backbone.conv1(images)))
        for index in range(1, number + 1):
            x = getattr(backbone, f'layer{index}')(backbone.maxpool(x) if index == 1 else x)
        return avg_pool2d(x, *POOLS[stage]).flatten(1)

    return features


def _pooled_conv(backbone: StagedBackbone, stage: str) -> Callable[[Tensor], Tensor]:
    names = CONV_STAGES[: backbone.num_stages]
    if stage not in names:
        raise ValueError(f'the stages of this {type(backbone).__name__} are {", ".join(names)}; got {stage!r}')

    def features(images: Tensor) -> Tensor:
        x = backbone.stem(images)
        for layers in backbone.stages[: names.index(stage) + 1]:
            x = layers(x)
        return adaptive_max_pool2d(x, isqrt(LARGEST // x.shape[1])).flatten(1)

    return features

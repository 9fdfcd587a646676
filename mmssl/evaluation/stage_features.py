"""Features of single stages of convolutional backbones, pooled to about nine thousand numbers per image."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

from torch import Tensor, nn
from torch.nn.functional import adaptive_max_pool2d, avg_pool2d

from mmssl.models.backbones.adder_resnet import AdderResNet
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.staged_backbone import StagedBackbone

# Kernel, stride and padding of the average pooling (Goyal et al., 2019, arXiv:1905.01235). With them the stages of a
# ResNet-50 have 9216, 9216, 8192, 9216 and 8192 features at 224 px.
POOLS = dict(conv1=(10, 10, 4), res2=(16, 8, 0), res3=(13, 5, 0), res4=(8, 3, 0), res5=(6, 1, 0))


# Stages of AlexNet, VGG16, NIN and WideResNet. RotNet's probe (arXiv:1803.07728) max-pools the maps of its AlexNet to
# squares of 12, 7, 5, 6 and 6 pixels. These are the largest squares with at most 9600 features, a rule that also
# applies to the other three networks.
CONV_STAGES = ('conv1', 'conv2', 'conv3', 'conv4', 'conv5')
LARGEST = 9600


def pooled_stage(backbone: nn.Module, stage: str) -> Callable[[Tensor], Tensor]:
    """Returns the function from images (N, 3, H, W) to the pooled, flattened map of a stage, (N, D).

    Args:
        backbone: Backbone that was built at least up to the stage.
        stage: For a ResNet or AdderResNet, ``'conv1'`` (after norm and ReLU), ``'res2'``, ``'res3'``, ``'res4'`` or
            ``'res5'``; for an AlexNet, VGG16, NIN or WideResNet ``'conv1'`` to ``'conv5'``, the maps of its stages.

    Raises:
        ValueError: The backbone has no such stage, or it is of another class.
    """
    if isinstance(backbone, StagedBackbone):
        return _pooled_conv(backbone, stage)
    if stage not in POOLS or not isinstance(backbone, (ResNet, AdderResNet)):
        raise ValueError(
            f'stages of a ResNet are {", ".join(POOLS)}, those of an AlexNet {", ".join(CONV_STAGES)}; '
            f"got {stage!r} of a {type(backbone).__name__}: other backbones only have 'vector'"
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

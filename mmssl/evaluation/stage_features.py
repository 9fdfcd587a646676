"""Features of the stages of a ResNet, pooled to about nine thousand numbers each."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import avg_pool2d

from mmssl.models.backbones.resnet import ResNet

# Kernel, stride and padding of the average pooling (Goyal et al., 2019, arXiv:1905.01235). At 224 px a ResNet-50 then
# has 9216, 9216, 8192, 9216 and 8192 features.
POOLS = dict(conv1=(10, 10, 4), res2=(16, 8, 0), res3=(13, 5, 0), res4=(8, 3, 0), res5=(6, 1, 0))


def pooled_stage(backbone: ResNet, stage: str) -> Callable[[Tensor], Tensor]:
    """Returns the function from images (N, 3, H, W) to the pooled, flattened map of a stage, (N, D).

    Args:
        backbone: Built at least as deep as the stage.
        stage: ``'conv1'`` (after norm and ReLU), ``'res2'``, ``'res3'``, ``'res4'`` or ``'res5'``.

    Raises:
        ValueError: There is no such stage, or the backbone is no ResNet.
    """
    if stage not in POOLS or not isinstance(backbone, ResNet):
        raise ValueError(
            f'stages of a ResNet are {", ".join(POOLS)}; got {stage!r} of a {type(backbone).__name__}: '
            "other backbones have 'vector' alone"
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

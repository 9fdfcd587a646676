"""Pooled maps of the stages of convolutional backbones."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import adaptive_max_pool2d, avg_pool2d

from mmssl.evaluation.stage_features import CONV_STAGES, POOLS, pooled_stage
from mmssl.models.backbones.adder_resnet import AdderResNet
from mmssl.models.backbones.alexnet import AlexNet
from mmssl.models.backbones.nin import NIN
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.vision_transformer import VisionTransformer


def test_dimensions_of_a_resnet50_at_224_pixels():
    with torch.device('meta'):
        backbone, images = ResNet(50).eval(), torch.zeros(1, 3, 224, 224)
        dims = [pooled_stage(backbone, stage)(images).shape[1] for stage in POOLS]
    assert dims == [9216, 9216, 8192, 9216, 8192]


@pytest.mark.parametrize('network', [ResNet, AdderResNet])
def test_stages_are_the_backbones_own(network):
    backbone, images = network(18, width=0.125, out_indices=(0, 1, 2, 3)).eval(), torch.randn(1, 3, 224, 224)
    maps = backbone(images)
    for stage, expected in zip(('res2', 'res3', 'res4', 'res5'), maps):
        torch.testing.assert_close(
            pooled_stage(backbone, stage)(images), avg_pool2d(expected, *POOLS[stage]).flatten(1)
        )
    stem = backbone.relu(backbone.bn1(backbone.conv1(images)))
    torch.testing.assert_close(pooled_stage(backbone, 'conv1')(images)[0, 13], stem[0, 0, 6:16, 6:16].mean())


def test_stages_of_rotnets_and_deepclusters_alexnet_have_their_published_dimensions():
    with torch.device('meta'):
        images = torch.zeros(1, 3, 224, 224)
        rotnet = AlexNet(channels=(64, 192, 384, 256, 256)).eval()
        assert [pooled_stage(rotnet, stage)(images).shape[1] for stage in CONV_STAGES] == [9216, 9408, 9600, 9216, 9216]
        deepcluster = AlexNet(sobel=True, fc={}).eval()
        dims = [pooled_stage(deepcluster, stage)(images).shape[1] for stage in CONV_STAGES]
        assert dims == [9600, 9216, 9600, 9600, 9216]


def test_stages_of_other_backbones_are_their_maps():
    backbone, images = NIN(3, width=0.125, out_indices=(1, 2)).eval(), torch.randn(2, 3, 32, 32)
    second = backbone(images)[0]  # (2, 24, 8, 8)
    torch.testing.assert_close(pooled_stage(backbone, 'conv2')(images), adaptive_max_pool2d(second, 20).flatten(1))
    with pytest.raises(ValueError, match="conv1, conv2, conv3; got 'conv4'"):
        pooled_stage(backbone, 'conv4')


def test_what_has_no_such_stage():
    with pytest.raises(ValueError, match="only have 'vector'"):
        pooled_stage(VisionTransformer(dict(embed_dim=24, depth=1, num_heads=3)), 'res5')
    with pytest.raises(ValueError, match="'res6'"):
        pooled_stage(ResNet(18), 'res6')
    with pytest.raises(ValueError, match='ends before res5'):
        pooled_stage(ResNet(18, out_indices=(2,)), 'res5')

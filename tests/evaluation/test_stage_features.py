"""Pooled maps of a ResNet's stages."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d

from mmssl.evaluation.stage_features import POOLS, pooled_stage
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.vision_transformer import VisionTransformer


def test_dimensions_of_a_resnet50_at_224_pixels():
    with torch.device('meta'):
        backbone, images = ResNet(50).eval(), torch.zeros(1, 3, 224, 224)
        dims = [pooled_stage(backbone, stage)(images).shape[1] for stage in POOLS]
    assert dims == [9216, 9216, 8192, 9216, 8192]


def test_stages_are_the_backbones_own():
    backbone, images = ResNet(18, width=0.125, out_indices=(0, 1, 2, 3)).eval(), torch.randn(1, 3, 224, 224)
    maps = backbone(images)
    for stage, expected in zip(('res2', 'res3', 'res4', 'res5'), maps):
        torch.testing.assert_close(
            pooled_stage(backbone, stage)(images), avg_pool2d(expected, *POOLS[stage]).flatten(1)
        )
    stem = backbone.relu(backbone.bn1(backbone.conv1(images)))
    torch.testing.assert_close(pooled_stage(backbone, 'conv1')(images)[0, 13], stem[0, 0, 6:16, 6:16].mean())


def test_what_has_no_such_stage():
    with pytest.raises(ValueError, match="'vector' alone"):
        pooled_stage(VisionTransformer(dict(embed_dim=24, depth=1, num_heads=3)), 'res5')
    with pytest.raises(ValueError, match="'res6'"):
        pooled_stage(ResNet(18), 'res6')
    with pytest.raises(ValueError, match='ends before res5'):
        pooled_stage(ResNet(18, out_indices=(2,)), 'res5')

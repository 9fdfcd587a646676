from __future__ import annotations

import pytest
import torch
import torchvision

from mmssl.models.backbones.vgg16 import VGG16


def test_is_torchvisions_network_with_batch_norm():
    with torch.device('meta'):
        backbone = VGG16(fc=dict(dropout=(0, 0.5)), out_indices=range(5))
        reference = torchvision.models.vgg16_bn()
        shapes = [tuple(p.shape) for p in reference.parameters()][:-2]  # without the classifier of 1000 classes
        maps = VGG16(out_indices=range(5))(torch.zeros(1, 3, 64, 64))
    assert [tuple(p.shape) for p in backbone.parameters()] == shapes
    assert [(m.shape[1], m.shape[2]) for m in maps] == [(64, 64), (128, 32), (256, 16), (512, 8), (512, 4)]


def test_images_smaller_than_five_poolings():
    with pytest.raises(ValueError, match='at least 32 pixels, got img_size=16'):
        VGG16(fc={}, img_size=16)

"""Files of DINOv2: released backbones with and without registers, and checkpoints of the training."""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.converters import convert_backbone
from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.registry import BACKBONES

ARCH = dict(embed_dim=48, depth=2, num_heads=6)


def official(registers: int, swiglu: bool, chunked: bool = False) -> tuple[torch.nn.Module, dict[str, Tensor]]:
    """A small backbone, and its tensors as the official code writes them."""
    torch.manual_seed(0)
    arch = dict(ARCH, registers=registers, ffn='swiglu' if swiglu else 'mlp', layer_scale=1.0)
    position = dict(resample='antialiased' if registers else 'dino')
    backbone = BACKBONES.build(
        dict(type='VisionTransformer', arch=arch, img_size=56, patch_size=14, output='tokens', position=position)
    ).eval()
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    tensors = dict(mask_token=torch.zeros(1, 48))
    for name, tensor in backbone.state_dict().items():
        name = name.replace('reg_token', 'register_tokens')
        if swiglu:
            name = name.replace('fc1', 'w12').replace('fc2', 'w3')
        tensors[name.replace('blocks.', 'blocks.0.') if chunked else name] = tensor
    return backbone, tensors


@pytest.mark.parametrize(('registers', 'swiglu'), [(0, False), (4, False), (4, True)])
@pytest.mark.parametrize('size', [56, 70])
def test_a_released_backbone_becomes_the_same_network(registers, swiglu, size):
    backbone, tensors = official(registers, swiglu)
    assert detect_source(tensors) == 'dinov2'
    converted = convert_backbone(tensors, 'mmssl', num_heads=6)
    config = {'output': 'tokens', **converted.config}
    built = BACKBONES.build(config).eval()
    built.load_state_dict(converted.tensors)
    images = torch.randn(2, 3, size, size)
    with torch.no_grad():
        assert torch.equal(built(images), backbone(images))


@pytest.mark.parametrize(('registers', 'swiglu'), [(0, False), (4, True)])
def test_timm_computes_the_same(registers, swiglu):
    backbone, tensors = official(registers, swiglu)
    converted = convert_backbone(tensors, 'timm', num_heads=6)
    variables = dict(torch=torch, timm=timm)
    exec(converted.model, variables)
    variables['model'].load_state_dict(converted.tensors)
    images = torch.randn(2, 3, 56, 56)
    with torch.no_grad():
        assert_close(variables['model'].eval().forward_features(images), backbone(images), rtol=1e-4, atol=1e-4)


def test_the_teacher_of_a_training_with_blocks_in_chunks():
    backbone, tensors = official(0, True, chunked=True)
    head = {'dino_head.mlp.0.weight': torch.zeros(3, 48), 'ibot_head.last_layer.weight_g': torch.zeros(4, 1)}
    checkpoint = dict(teacher={f'backbone.{name}': x for name, x in tensors.items()} | head)
    assert detect_source(checkpoint) == 'dinov2'
    teacher = convert(checkpoint, 'dinov2', part='teacher')
    assert {'neck.images.layers.0.weight', 'neck.patches.last_layer.parametrizations.weight.original0'} < set(teacher)
    backbone.load_state_dict(convert(checkpoint, 'dinov2', part='teacher.backbone'), strict=True)

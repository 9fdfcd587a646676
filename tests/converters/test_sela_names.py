"""SeLa's pre-activation network, and its heads, which become one classifier without the head of rotations."""

from __future__ import annotations

import re

import torch

from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.models.backbones.preact_resnet import PreActResNet


def test_the_preactivation_network_loads_from_a_file_of_several_gpus():
    backbone = PreActResNet(width=0.125)
    tensors = backbone.state_dict()
    official = {f'features.module.{_official(name)}': tensor for name, tensor in tensors.items()}
    official |= {f'top_layer{h}.{kind}': torch.zeros(6) for h in range(2) for kind in ('weight', 'bias')}
    assert 'features.module.5.0.shortcut.0.weight' in official
    for file in (official, {name.replace('module.', ''): tensor for name, tensor in official.items()}):
        assert detect_source(file) == 'sela'
        converted = convert(file, 'sela', part='backbone')
        assert all(torch.equal(converted[name], tensor) for name, tensor in tensors.items())
        backbone.load_state_dict(converted, strict=True)


def _official(name):
    name = re.sub(r'^stages\.(\d)', lambda m: str(int(m[1]) + 2), name.replace('stem.conv', '0'))
    return name.replace('shortcut', 'shortcut.0')


def test_heads_are_joined_and_the_head_of_rotations_is_left_out():
    heads = {f'top_layer{h}.{kind}': torch.full((6, 3)[: 2 - (kind == 'bias')], float(h))
             for h in range(11) for kind in ('weight', 'bias')}  # fmt: skip
    official = {'module.features.4.weight': torch.ones(2, 2, 3, 3), **heads, 'top_layer11.bias': torch.ones(4)}
    assert detect_source(official) == 'sela'
    ours = convert(official, 'sela')
    assert set(ours) == {'backbone.stages.1.0.conv.weight', 'head.fc.weight', 'head.fc.bias'}
    assert ours['head.fc.weight'].shape == (66, 3)
    assert ours['head.fc.bias'].tolist() == [float(h) for h in range(11) for _ in range(6)]

"""OBoW's networks: a residual and a wide residual one begin with the same name."""

from __future__ import annotations

import re

import torch

from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.wide_resnet import WideResNet


def _official(name: str) -> str:
    """The name of a tensor of ours in the official code."""
    name = re.sub(r'^conv1|^stem\.conv', '_feature_blocks.0.Conv', name)
    name = re.sub(r'^bn1', '_feature_blocks.0.bn', name)
    name = re.sub(r'^layer', '_feature_blocks.', name)
    name = re.sub(r'^stem\.bn', '_feature_blocks.0.BN', name)
    name = re.sub(r'^stages\.(\d)\.bn', lambda m: f'_feature_blocks.{int(m[1]) + 1}.BN', name)
    name = re.sub(r'^stages\.(\d)', lambda m: f'_feature_blocks.{int(m[1]) + 1}.Block.layer', name)
    name = re.sub(r'act([12])\.bn', r'convResidual.bn\1', name)
    name = re.sub(r'(layer\.\d+)\.(conv[12])', r'\1.convResidual.\2', name)
    return name.replace('shortcut', 'convShortcut')


def test_both_kinds_of_networks_load_from_their_files():
    for backbone in (ResNet(18, width=0.125), WideResNet(16, 1)):
        tensors = backbone.state_dict()
        official = {_official(name): tensor for name, tensor in tensors.items()}
        assert all(name.startswith('_feature_blocks.') for name in official)
        file = dict(epoch=3, network=official)
        assert detect_source(file) == 'obow'
        backbone.load_state_dict(convert(file, 'obow', part='backbone'), strict=True)
        for name, tensor in convert(file, 'obow', part='backbone').items():
            assert torch.equal(tensor, tensors[name])


def test_the_teacher_of_a_training_and_the_words_that_stay_behind():
    tensors = WideResNet(10, 1).state_dict()
    official = {f'feature_extractor.{_official(name)}': tensor for name, tensor in tensors.items()}
    official |= {f'feature_extractor_teacher.{_official(name)}': tensor for name, tensor in tensors.items()}
    official['bow_extractor.bow_extractor.0._embedding'] = torch.zeros(4, 16)
    converted = convert(dict(network=official), 'obow')
    assert converted.keys() == {f'{part}.{name}' for part in ('backbone', 'teacher.backbone') for name in tensors}

"""The adder networks: what they are made of, what they share with ResNet, and that they learn."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmssl.models.backbones.adder_resnet import AdderResNet
from mmssl.models.backbones.adder_vgg import AdderVGG
from mmssl.models.backbones.lenet5_bn import LeNet5BN
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.layers.adder2d import Adder2d

NARROW = [(AdderResNet, dict(width=0.25), 32), (AdderVGG, dict(width=0.0625), 32), (LeNet5BN, {}, 28)]


def _layers(backbone: nn.Module) -> list[nn.Module]:
    return [module for module in backbone.modules() if isinstance(module, (nn.Conv2d, Adder2d))]


@pytest.mark.parametrize(('network', 'arguments', 'size'), NARROW)
def test_every_layer_but_the_first_is_an_adder_layer_before_a_norm(network, arguments, size):
    first, *others = _layers(network(**arguments))
    assert isinstance(first, nn.Conv2d) and all(isinstance(layer, Adder2d) for layer in others)
    assert all(layer.adder.std().item() == pytest.approx(1, abs=0.3) for layer in others)
    ordinary = _layers(network(**arguments, adder=False))
    assert all(isinstance(layer, nn.Conv2d) for layer in ordinary)
    shapes = [tuple(next(layer.parameters()).shape) for layer in (first, *others)]
    assert [tuple(layer.weight.shape) for layer in ordinary] == shapes


@pytest.mark.parametrize(('depth', 'parameters'), [(20, 271_824), (50, 23_508_032)])
def test_numbers_of_parameters_are_the_official_ones_without_classifier(depth, parameters):
    with torch.device('meta'):
        assert sum(p.numel() for p in AdderResNet(depth).parameters()) == parameters


@pytest.mark.parametrize('depth', [18, 50])
def test_names_and_shapes_are_those_of_resnet(depth):
    with torch.device('meta'):
        expected = {name: tuple(tensor.shape) for name, tensor in ResNet(depth).state_dict().items()}
        found = {name: tuple(tensor.shape) for name, tensor in AdderResNet(depth).state_dict().items()}
    assert {name.replace('.adder', '.weight'): shape for name, shape in found.items()} == expected


def test_maps_of_all_stages_and_a_backbone_cut_short():
    images = torch.randn(2, 3, 32, 32)
    maps = AdderResNet(20, out_indices=(0, 1, 2))(images)
    assert [tuple(m.shape[1:]) for m in maps] == [(16, 32, 32), (32, 16, 16), (64, 8, 8)]
    with torch.device('meta'):
        whole = AdderResNet(18)(torch.empty(1, 3, 64, 64))
    assert whole[0].shape == (1, 512, 2, 2)
    short = AdderResNet(20, width=0.25, out_indices=(0,), frozen_stages=0)
    short.load_state_dict(AdderResNet(20, width=0.25).state_dict())
    short(images)[0].sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in short.parameters())
    assert not short.conv1.weight.requires_grad and not short.bn1.training and short.feature_dim == 4


def test_layers_are_counted_from_the_output():
    distances = AdderResNet(20, width=0.25).layers_to_output()
    assert distances['conv1.weight'] == 10 and distances['layer1.0.conv1.adder'] == 9
    assert distances['layer3.2.bn2.bias'] == 1
    assert AdderVGG(width=0.0625).layers_to_output()['stages.2.2.conv.adder'] == 1


def test_mistakes_are_named():
    with pytest.raises(ValueError, match=r'depth must be one of \[18, 20, 32, 50\], got 34'):
        AdderResNet(34)
    with pytest.raises(ValueError, match='out_indices must name stages 0 to 2'):
        AdderResNet(20, out_indices=(3,))
    with pytest.raises(ValueError, match='frozen_stages must lie in -1 to 3'):
        AdderResNet(20, frozen_stages=4)

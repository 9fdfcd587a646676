from __future__ import annotations

import pytest
import torch
from torch import nn

from mmssl.models.necks.identity import Identity
from mmssl.models.necks.mlp_projector import MLPProjector
from mmssl.registry import HEADS, NECKS

LINEAR, NORM, RELU = nn.Linear, nn.BatchNorm1d, nn.ReLU

# what the methods use: arguments, layers, parameters, parameters that train
LAYOUTS = {
    'SimCLR, 2 layers': ((2048, 2048, 128), dict(last_norm='scale'), [LINEAR, NORM, RELU, LINEAR, NORM], 4460672),
    'SimCLR, 3 layers': (
        (2048, 2048, 128),
        dict(num_layers=3, last_norm='scale'),
        [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR, NORM],
        8659072,
    ),
    'MoCo v1': ((2048, None, 128), dict(num_layers=1, last_bias=True), [LINEAR], 262272),
    'MoCo v2': ((2048, 2048, 128), dict(norm=False, bias=True, last_bias=True), [LINEAR, RELU, LINEAR], 4458624),
    'BYOL projector': ((2048, 4096, 256), dict(bias=True), [LINEAR, NORM, RELU, LINEAR], 9449472),
    'BYOL predictor': ((256, 4096, 256), dict(bias=True), [LINEAR, NORM, RELU, LINEAR], 2109440),
    'SimSiam projector': (
        (2048, 2048, 2048),
        dict(num_layers=3, last_bias=True, freeze_last_bias=True, last_norm='plain'),
        [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR, NORM],
        12593152,
    ),
    'SimSiam predictor': ((2048, 512, 2048), dict(last_bias=True), [LINEAR, NORM, RELU, LINEAR], 2100224),
    'MoCo v3 projector': ((2048, 4096, 256), dict(last_norm='plain'), [LINEAR, NORM, RELU, LINEAR, NORM], 9445376),
    'MoCo v3 ViT-S projector': (
        (384, 4096, 256),
        dict(num_layers=3, last_norm='plain'),
        [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR, NORM],
        19415040,
    ),
    'Barlow Twins': (
        (2048, 8192, 8192),
        dict(num_layers=3, last_norm='plain'),
        [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR, NORM],
        151027712,
    ),
    'VICReg': (
        (2048, 8192, 8192),
        dict(num_layers=3, bias=True),
        [LINEAR, NORM, RELU, LINEAR, NORM, RELU, LINEAR],
        151044096,
    ),
    'MoCo v3 predictor': ((256, 4096, 256), {}, [LINEAR, NORM, RELU, LINEAR], 2105344),
}


@pytest.mark.parametrize(('channels', 'options', 'layers', 'parameters'), LAYOUTS.values(), ids=LAYOUTS)
def test_layout_and_parameters_are_the_official_ones(channels, options, layers, parameters):
    with torch.device('meta'):
        projector = MLPProjector(*channels, **options)
    assert [type(layer) for layer in projector.layers] == layers
    assert sum(p.numel() for p in projector.parameters()) == parameters
    frozen = [name for name, p in projector.named_parameters() if not p.requires_grad]
    assert frozen == (['layers.6.bias'] if options.get('freeze_last_bias') else [])


def test_the_last_norm():
    assert {name for name, _ in MLPProjector(4, 4, 4).layers[-1].named_parameters()} == {'weight'}
    for last_norm, names in (('affine', {'weight', 'bias'}), ('scale', {'weight'}), ('plain', set())):
        projector = MLPProjector(4, 4, 4, last_norm=last_norm)
        assert {name for name, _ in projector.layers[-1].named_parameters()} == names
        projector(torch.randn(6, 4)).sum().backward()


def test_it_takes_what_backbones_return():
    projector = MLPProjector(4, 8, 2).eval()
    maps = torch.randn(3, 4, 5, 5)
    assert projector((torch.randn(3, 2, 9, 9), maps)).shape == (3, 2)
    assert torch.equal(projector((maps,)), projector(maps.mean(dim=(2, 3))))


def test_hidden_layers_of_different_widths():
    projector = MLPProjector(4, [8, 6], 2, num_layers=3)
    shapes = [tuple(layer.weight.shape) for layer in projector.layers if isinstance(layer, LINEAR)]
    assert shapes == [(8, 4), (6, 8), (2, 6)]
    assert projector(torch.randn(3, 4)).shape == (3, 2)


def test_init_cfg_sets_the_linear_layers():
    projector = MLPProjector(64, 64, 64, init_cfg=dict(type='Normal', layer='Linear', std=0.01))
    projector.init_weights()
    assert 0.009 < projector.layers[0].weight.std() < 0.011


def test_wrong_arguments():
    with pytest.raises(ValueError, match="last_norm.*'batch'"):
        MLPProjector(4, 4, 4, last_norm='batch')
    for hidden in (None, [8], [8, 8, 8]):
        with pytest.raises(ValueError, match='hidden_channels must be one number or 2 numbers for 3 layers'):
            MLPProjector(4, hidden, 4, num_layers=3)
    with pytest.raises(ValueError, match='needs last_bias=True'):
        MLPProjector(4, 4, 4, freeze_last_bias=True)


def test_identity_fills_both_slots():
    features = (torch.zeros(1),)
    for role in (NECKS, HEADS):
        identity = role.build(dict(type='Identity'))
        assert isinstance(identity, Identity) and identity(features) is features
        assert role.members['Identity'] is Identity

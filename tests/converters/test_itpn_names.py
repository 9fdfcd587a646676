"""Names of the official HiViT, iTPN and Fast-iTPN codes."""

from __future__ import annotations

import json

import pytest
import torch

from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.models.backbones.hivit import HiViT
from mmssl.registry import MODELS


def official(goldens_dir, case: str) -> dict[str, torch.Tensor]:
    """Empty tensors with the names and shapes of a recording."""
    record = json.loads((goldens_dir / f'{case}.json').read_text())
    return {name: torch.empty(shape, device='meta') for name, shape in record['state_dict']}


@pytest.mark.parametrize(
    ('case', 'source'),
    [('hivit_base_mae', 'hivit'), ('itpn_base_pixel', 'itpn'), ('itpn_base_clip', 'itpn_clip')],
)
def test_source_and_parts_of_official_pre_training(goldens_dir, case, source):
    tensors = official(goldens_dir, case)
    assert detect_source(dict(model=tensors)) == source
    parts = {name.split('.')[0] for name in convert(tensors, source)}
    assert parts == {'backbone', 'neck', *(['mask_token'] if source == 'itpn_clip' else [])}
    if source != 'hivit':
        with torch.device('meta'):
            pyramid = MODELS.build(dict(type='mmssl.ITPNPyramid', fpn_depth=1 if source == 'itpn_clip' else 2))
        expected = {name: tensor.shape for name, tensor in pyramid.state_dict().items()}
        found = convert(tensors, source, part='neck.pyramid')
        assert {name: tensor.shape for name, tensor in found.items()} == expected


@pytest.mark.parametrize('case', ['hivit_base_classifier', 'itpn_base_classifier'])
def test_fine_tuned_classifiers(goldens_dir, case):
    tensors = official(goldens_dir, case)
    with torch.device('meta'):
        arch = 'base' if case.startswith('hivit') else 'itpn-base'
        backbone = dict(type='mmssl.HiViT', arch=arch, position_bias='table', output='mean')
        head = dict(type='mmssl.LinearClsHead', in_channels=512, num_classes=1000, norm='layer')
        neck = dict(type='mmssl.Identity')
        model = MODELS.build(dict(type='mmssl.ImageClassifier', backbone=backbone, neck=neck, head=head))
    for source in ('hivit', 'itpn', 'itpn_clip'):
        assert convert(tensors, source).keys() == model.state_dict().keys()


def test_a_checkpoint_of_one_backbone_for_detection(goldens_dir):
    tensors = {f'module.backbone.{name}': x for name, x in official(goldens_dir, 'itpn_base_det_clip').items()}
    with torch.device('meta'):
        backbone = HiViT('itpn-base', layer_scale=0.1)
    assert convert(tensors, 'itpn', part='backbone').keys() == backbone.state_dict().keys()
    assert 'fpn_modules.2.mlp.fc2.bias' in convert(tensors, 'itpn', part='neck.pyramid')


def test_fast_itpn_merges_and_mlps_are_the_official_convolutions():
    torch.manual_seed(0)
    arch = dict(embed_dim=32, depths=(1, 1, 2), num_heads=2, mlp_ratio=3.0, fast=True)
    backbone = HiViT(arch, img_size=32, layer_scale=0.1).eval()
    mine = backbone.state_dict()
    theirs = {name.replace('absolute_pos_embed', 'pos_embed'): tensor for name, tensor in mine.items()}
    convolutions = {}
    for name in (f'blocks.{index}.mlp.{layer}.weight' for index in (0, 2) for layer in ('fc1', 'fc2')):
        convolutions[name] = mine[name][:, :, None, None]
    for index, width in ((1, 8), (3, 16)):
        convolutions[f'blocks.{index}.reduction.weight'] = torch.randn(2 * width, width, 2, 2)
    converted = convert({**theirs, **convolutions, 'fc_norm.weight': torch.ones(32)}, 'fast_itpn')
    assert converted.keys() == {f'backbone.{name}' for name in mine} | {'head.norm.weight'}
    backbone.load_state_dict({name[9:]: x for name, x in converted.items() if name.startswith('backbone.')})

    merge, weight = backbone.blocks[1], convolutions['blocks.1.reduction.weight']
    cells = torch.randn(1, 3, 4, 4, 8)
    maps = merge.norm(cells).permute(0, 1, 4, 2, 3).flatten(0, 1)
    expected = torch.nn.functional.conv2d(maps, weight, merge.reduction.bias, stride=2)
    torch.testing.assert_close(merge(cells)[0].permute(0, 3, 1, 2), expected)

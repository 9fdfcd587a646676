from __future__ import annotations

import pytest
import timm
import torch
import torchvision

from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source
from mmssl.converters.source import Source
from mmssl.converters.sources import SOURCES
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer

SMALL = dict(embed_dim=48, depth=1, num_heads=3)
RESNET = torchvision.models.resnet18().state_dict()
TOKENS = torch.zeros(1, 4, 48)
VIT = timm.models.VisionTransformer(img_size=32, patch_size=8, num_classes=5, **SMALL).state_dict()


def named(prefix, tensors, *others, without=('fc.', 'head.')):
    kept = {f'{prefix}{name}': x for name, x in tensors.items() if not name.startswith(without)}
    return kept | {name: torch.zeros(2, 2) for name in others}


@pytest.mark.parametrize(
    ('source', 'tensors'),
    [
        ('torchvision', RESNET),
        ('timm', VIT),
        ('mocov3', named('module.base_encoder.', VIT, 'module.predictor.0.weight')),
        ('moco', named('module.encoder_q.', RESNET, 'module.encoder_q.fc.2.weight', 'module.queue')),
        (
            'resim',
            named('module.encoder_q.', RESNET, 'module.encoder_q.fc.2.weight', 'module.encoder_q.fpn_lateral3.bias'),
        ),
        ('densecl', named('encoder_q.0.', RESNET, 'encoder_q.1.mlp2.2.weight', 'queue2')),
        ('simsiam', named('module.encoder.', RESNET, 'module.encoder.fc.0.weight')),
        ('care', named('module.student_encoder.', RESNET, 'module.student_encoder.trans.net.0.net.0.weight')),
        ('barlowtwins', named('module.backbone.', RESNET, 'module.projector.0.weight', 'module.bn.weight')),
        ('dino', named('student.module.backbone.', VIT, 'teacher.head.mlp.0.weight')),
        ('capi', named('backbone.', {'registers': TOKENS}, 'backbone.decoder.blocks.1.residual2.fn.fc1.weight')),
        ('mmssl', named('backbone.', {'reg_token': TOKENS}, 'backbone.blocks.1.mlp.fc1.weight')),
        ('mmssl', named('backbone.', RESNET)),
        ('mmssl', named('backbone.', RESNET, 'neck.layers.0.weight')),
        ('mmssl', named('module.backbone._orig_mod.', RESNET, 'module.neck.layers.0.weight')),
        ('mmssl', named('backbone.', VIT, 'neck.layers.0.weight', 'teacher.backbone.cls_token', 'targets.center')),
    ],
)
def test_a_source_is_told_by_its_names(source, tensors):
    assert detect_source(tensors) == source
    assert detect_source(dict(state_dict=tensors, epoch=3)) == source


@pytest.mark.parametrize(
    ('source', 'other'), [('npid', 'neck.fc.weight'), ('vicreg', 'projector.0.weight'), ('dinov2', 'mask_token')]
)
def test_a_training_of_a_plugin_with_the_names_of_an_official_code(source, other):
    tensors = named('backbone.', VIT if other == 'mask_token' else RESNET, other)
    assert detect_source(tensors) == source
    for scope, expected in (('mmssl', 'mmssl'), ('mmselfsup', source)):
        meta = dict(cfg=f"default_scope = '{scope}'\nmodel = dict(type='Own')", epoch=3)
        assert detect_source(dict(state_dict=tensors, meta=meta)) == expected


def test_a_file_of_a_backbone_alone_fits_several_sources_which_agree():
    tensors = ResNet(18).state_dict()
    assert detect_source(tensors) == 'torchvision'
    assert convert(tensors, 'torchvision').keys() == convert(tensors, 'vicreg').keys()
    assert detect_source(VisionTransformer(SMALL, img_size=32).state_dict()) == 'timm'


def test_the_backbone_file_of_a_training_is_told_by_what_lies_beside_its_tensors():
    tensors = TimmBackbone('convnext_atto').state_dict()
    with pytest.raises(ValueError, match='no source knows'):
        detect_source(tensors)
    file = dict(state_dict=tensors, meta=dict(algorithm='SimCLR', checkpoint='epoch_1.pth', epoch=1))
    assert detect_source(file) == 'mmssl'
    assert convert(file, 'mmssl', part='backbone').keys() == tensors.keys()


def test_a_training_checkpoint_passes_as_it_is():
    tensors = named('backbone.', RESNET, 'head.predictor.layers.0.weight')
    assert convert(dict(state_dict=tensors), 'mmssl') == tensors
    assert convert(RESNET, 'mmssl').keys() == {f'backbone.{name}' for name in RESNET}


def test_names_of_wrappers_are_not_written() -> None:
    tensors = named('module._orig_mod.backbone.', RESNET)
    assert convert(tensors, 'mmssl', part='backbone').keys() == named('', RESNET).keys()


def test_sources_that_disagree_are_named(monkeypatch):
    monkeypatch.setitem(SOURCES, 'swapped', Source(patterns=((r'conv1\.weight', 'backbone.conv2.weight'),)))
    with pytest.raises(ValueError, match=r'fit torchvision, timm, .*swapped.*: give the source'):
        detect_source({'conv1.weight': torch.zeros(1)})


def test_what_nobody_knows_is_listed_for_the_nearest_source():
    tensors = named('module.encoder_q.', RESNET, 'module.encoder_q.layer5.0.conv1.weight')
    with pytest.raises(ValueError, match=r'\w+ knows most, 120 of 121, but not encoder_q\.layer5'):
        detect_source(tensors)
    with pytest.raises(ValueError, match=r'no source knows all names in this checkpoint; such as a\.b.*simsiam'):
        detect_source({'a.b': torch.zeros(1)})
    with pytest.raises(ValueError, match='has no tensors under'):
        detect_source(dict(state_dict={}, epoch=3))

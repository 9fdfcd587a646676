"""``init_cfg=dict(type='Pretrained')``: finds the prefix, loads everything, and stops where it cannot."""

from pathlib import Path

import pytest
import torch
from mmengine.registry import DefaultScope

from mmssl.registry import ALGORITHMS, BACKBONES
from mmssl.utils.errors import UserError

RESNET = dict(type='mmssl.ResNet', depth=18, width=0.125, stem='small')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    torch.manual_seed(7)
    algorithm = ALGORITHMS.build(
        dict(
            type='BYOL',
            backbone=RESNET,
            neck=dict(type='MLPProjector', in_channels=64, hidden_channels=8, out_channels=4),
            head=dict(type='CosineRegressionLoss'),
            teacher=dict(momentum=0.9),
        )
    )
    path = tmp_path_factory.mktemp('run') / 'epoch_1.pth'
    torch.save(dict(state_dict=algorithm.state_dict()), path)
    return path


@pytest.mark.parametrize('scope', ['mmssl', 'mmengine'])
@pytest.mark.parametrize('prefix', [None, 'backbone.', 'teacher.backbone'])
def test_the_weights_are_those_of_the_file(scope, prefix, checkpoint):
    start = dict(type='Pretrained', checkpoint=str(checkpoint), **(dict(prefix=prefix) if prefix else {}))
    with DefaultScope.overwrite_default_scope(scope):
        backbone = BACKBONES.build(dict(RESNET, init_cfg=start))
        backbone.init_weights()
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    name = f'{prefix or "backbone"}'.removesuffix('.')
    for key, value in backbone.state_dict().items():
        assert torch.equal(value, state[f'{name}.{key}'])


def test_a_neck_and_a_whole_algorithm_load_too(checkpoint):
    start = dict(type='Pretrained', checkpoint=str(checkpoint))
    neck = dict(type='MLPProjector', in_channels=64, hidden_channels=8, out_channels=4, init_cfg=start)
    head = dict(type='NTXentLoss', temperature=0.2)
    state = torch.load(checkpoint, weights_only=True)['state_dict']
    for options in (dict(neck=neck), dict(neck=dict(neck, init_cfg=None), init_cfg=start)):
        with DefaultScope.overwrite_default_scope('mmssl'):
            algorithm = ALGORITHMS.build(dict(type='SimCLR', backbone=RESNET, head=head, **options))
            algorithm.init_weights()
        for key, value in algorithm.neck.state_dict().items():
            assert torch.equal(value, state[f'neck.{key}'])


@pytest.mark.parametrize('scope', ['mmssl', 'mmengine'])
def test_another_network_or_no_file_stops(scope, checkpoint):
    wide = dict(RESNET, width=0.25, init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint)))
    nowhere = dict(RESNET, init_cfg=dict(type='Pretrained', checkpoint='nowhere.pth'))
    with DefaultScope.overwrite_default_scope(scope):
        with pytest.raises(UserError, match='so nothing was loaded'):
            BACKBONES.build(wide).init_weights()
        with pytest.raises(FileNotFoundError, match='checkpoint not found: nowhere.pth'):
            BACKBONES.build(nowhere).init_weights()

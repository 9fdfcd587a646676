from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.layers.loading import skip_on_load
from mmssl.registry import BACKBONES


def test_parts_that_were_not_built_are_skipped_wherever_the_module_stands():
    part = nn.ModuleDict(dict(stem=nn.Linear(2, 2)))
    skip_on_load(part, 'fc.', 'blocks.1.')
    state = {f'part.{name}': value for name, value in part.state_dict().items()}
    outer = nn.ModuleDict(dict(part=part))
    outer.load_state_dict(state | {'part.fc.weight': 1, 'part.blocks.1.weight': 2})
    with pytest.raises(RuntimeError, match=r'blocks\.10\.weight'):
        outer.load_state_dict(state | {'part.blocks.10.weight': 1})


@pytest.mark.parametrize(
    'cfg',
    [
        dict(type='ResNet', depth=10, stem='small', width=0.125, out_indices=(0, 1)),
        dict(type='NIN', width=0.0625),
        dict(type='VisionTransformer', arch=dict(embed_dim=24, depth=1, num_heads=2), img_size=16, final_norm=False),
    ],
    ids=lambda cfg: cfg['type'],
)
def test_a_backbone_without_some_parts_can_be_pickled(cfg):
    backbone = BACKBONES.build(cfg).eval()
    loaded = pickle.loads(pickle.dumps(backbone))
    loaded.load_state_dict(backbone.state_dict())
    images = torch.randn(2, 3, 16, 16)
    assert_close(loaded(images), backbone(images), rtol=0, atol=0)

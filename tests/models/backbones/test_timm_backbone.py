from __future__ import annotations

import pytest
import timm
import torch

from mmssl.models.backbones.timm_backbone import TimmBackbone


def test_pooled_vector_is_timms():
    backbone = TimmBackbone('resnet10t').eval()
    reference = timm.create_model('resnet10t', num_classes=0).eval()
    reference.load_state_dict(backbone.model.state_dict())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(backbone(images), reference(images))
    assert backbone.feature_dim == 512


@pytest.mark.parametrize(
    ('name', 'kwargs'), [('resnet10t', {}), ('vit_tiny_patch16_224', dict(img_size=64)), ('convnext_atto', {})]
)
def test_maps_come_as_a_tuple_and_every_parameter_trains(name, kwargs):
    backbone = TimmBackbone(name, out_indices=(1, 2), **kwargs)
    maps = backbone(torch.randn(2, 3, 64, 64))
    assert isinstance(maps, tuple)
    assert [m.ndim for m in maps] == [4, 4]
    assert maps[-1].shape[1] == backbone.feature_dim
    sum(m.sum() for m in maps).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_initialisation_leaves_the_weights_alone():
    backbone = TimmBackbone('vit_tiny_patch16_224', img_size=32)
    before = [p.clone() for p in backbone.parameters()]
    backbone.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(before, backbone.parameters(), strict=True))


def test_an_unknown_name_is_answered_with_similar_ones():
    with pytest.raises(ValueError, match="no model 'resnt18'; similar names: .*resnet18"):
        TimmBackbone('resnt18')

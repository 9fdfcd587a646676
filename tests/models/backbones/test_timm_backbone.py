from __future__ import annotations

import pytest
import timm
import torch
from torch import nn

from mmssl.checkpoints.matching import load_matching
from mmssl.converters.transfer import transfer_weights
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.layers.relative_positions import resize_relative_table
from mmssl.utils.errors import UserError


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


SWIN = dict(img_size=32, window_size=2, embed_dim=12, depths=(2, 2), num_heads=(2, 2))


def test_the_last_map_comes_after_the_final_norm_and_with_timms_names():
    backbone = TimmBackbone('swin_tiny_patch4_window7_224', pool=False, **SWIN).eval()
    images = torch.randn(2, 3, 32, 32)
    (last,) = backbone(images)
    assert last.shape == (2, 24, 4, 4) and backbone.feature_dim == 24
    torch.testing.assert_close(last.permute(0, 2, 3, 1), backbone.model.forward_features(images))
    assert 'model.layers.1.blocks.0.attn.qkv.weight' in backbone.state_dict()


@torch.no_grad()
def test_maps_have_their_channels_first():
    backbone = TimmBackbone('swin_tiny_patch4_window7_224', out_indices=(0, 1), **SWIN).eval()
    images = torch.randn(2, 3, 32, 32)
    maps = backbone(images)
    assert [level.shape for level in maps] == [(2, 12, 8, 8), (2, 24, 4, 4)]
    for level, own in zip(maps, backbone.model(images), strict=True):
        assert torch.equal(level, own.permute(0, 3, 1, 2))


MAPS = [
    ('resnet10t', (1, 2), {}),
    ('convnext_atto', (0, 2), {}),
    ('vit_tiny_patch16_224', (1, 3), dict(img_size=32, depth=6)),
    ('swin_tiny_patch4_window7_224', (0, 1), SWIN),
]


@pytest.mark.parametrize(('name', 'out_indices', 'options'), MAPS)
@torch.no_grad()
def test_the_whole_model_of_a_pre_training_fills_one_that_returns_maps(name, out_indices, options, tmp_path):
    whole = TimmBackbone(name, **options).eval()
    state = {f'backbone.{key}': value for key, value in whole.state_dict().items()}
    file = tmp_path / 'epoch_1.pth'
    torch.save(dict(state_dict=state), file)
    images = torch.randn(1, 3, 32, 32)
    expected = whole.model.forward_intermediates(images, indices=out_indices, norm=False, intermediates_only=True)
    detector = nn.Module()
    detector.backbone = TimmBackbone(name, out_indices=out_indices, **options)
    transfer_weights(detector, file)
    pretrained = dict(type='Pretrained', checkpoint=str(file))
    other = TimmBackbone(name, out_indices=out_indices, init_cfg=pretrained, **options)
    other.init_weights()
    for backbone in (detector.backbone, other):
        for found, level in zip(backbone.eval()(images), expected, strict=True):
            torch.testing.assert_close(found, level)
    load_matching(other, detector.backbone.state_dict(), 'itself')  # its own names stay


def test_a_deeper_model_does_not_fill_one_that_returns_maps():
    deep = TimmBackbone('vit_tiny_patch16_224', img_size=32, depth=6).state_dict()
    with pytest.raises(UserError, match='deep.pth contains a deeper backbone'):
        load_matching(TimmBackbone('vit_tiny_patch16_224', out_indices=(1, 3), img_size=32, depth=4), deep, 'deep.pth')


@pytest.mark.parametrize(
    ('name', 'options', 'grid', 'width'),
    [
        ('swin_tiny_patch4_window7_224', SWIN, 8, 12),
        ('vit_tiny_patch16_224', dict(img_size=32, patch_size=8, embed_dim=24, num_heads=2, depth=2), 4, 24),
    ],
)
def test_hidden_patches_are_replaced_after_the_patch_embedding(name, options, grid, width):
    backbone = TimmBackbone(name, pool=False, **options).eval()
    assert backbone.embed_dim == width
    images, token = torch.randn(2, 3, 32, 32), torch.randn(1, 1, width, requires_grad=True)
    mask = torch.rand(2, grid * grid) < 0.5
    (encoded,) = backbone(images, mask=mask, mask_token=token)
    side = 32 // grid
    pixels = mask.view(2, 1, grid, grid).repeat_interleave(side, 2).repeat_interleave(side, 3)
    (again,) = backbone(torch.where(pixels, images + 1, images), mask=mask, mask_token=token)
    torch.testing.assert_close(again, encoded)
    embedded = {}
    backbone.patch_embed.register_forward_hook(lambda module, args, x: embedded.update(x=x))
    backbone(images, mask=mask, mask_token=token)
    seen = embedded['x'].reshape(2, -1, width)
    assert torch.equal(seen[~mask], backbone.patch_embed(images).reshape(2, -1, width)[~mask])
    (plain,) = backbone(images)  # the mask leaves nothing behind
    assert (plain - encoded).abs().max() > 1e-3
    encoded.sum().backward()
    assert token.grad is not None


def test_a_model_without_patches_cannot_hide_them():
    with pytest.raises(ValueError, match='has no patch_embed'):
        TimmBackbone('resnet10t')(torch.zeros(1, 3, 32, 32), mask=torch.zeros(1, 4), mask_token=torch.zeros(1, 1, 4))


def test_tables_of_other_windows_are_resized_as_in_the_official_code():
    small = TimmBackbone('swin_tiny_patch4_window7_224', pool=False, **SWIN)
    large = TimmBackbone('swin_tiny_patch4_window7_224', **(SWIN | dict(img_size=64, window_size=4)))
    large.load_state_dict(small.state_dict(), strict=True)
    name = 'model.layers.0.blocks.1.attn.relative_position_bias_table'
    expected = resize_relative_table(small.get_parameter(name), (2, 2), (4, 4))
    assert expected.shape == (49, 2)
    torch.testing.assert_close(large.get_parameter(name), expected)


def test_selas_pre_activation_network_is_one_of_timms():
    """It has no norm behind its last block (arXiv:1911.05371), and ten heads of 3000 clusters on it."""
    with torch.device('meta'):
        backbone = TimmBackbone('resnetv2_50', out_indices=(4,))
    assert sum(p.numel() for p in backbone.parameters()) == 84_966_256 - 10 * (2048 * 3000 + 3000)
    assert backbone.feature_dim == 2048

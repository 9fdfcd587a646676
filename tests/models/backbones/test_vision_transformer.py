from __future__ import annotations

import math

import pytest
import timm
import torch
from torch import nn

from mmssl.config.check import accepted_arguments
from mmssl.models.backbones.vision_transformer import ARCHS, VisionTransformer
from mmssl.models.backbones.windowed_vit import WindowedViT
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import scaled_positions, sincos_positions
from tests.support.checkpoints import load_file

SMALL = dict(embed_dim=48, depth=3, num_heads=3)


def small(**kwargs):
    return VisionTransformer(**{'arch': SMALL, 'img_size': 32, 'patch_size': 8, **kwargs})


def timm_small(**kwargs):
    return timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=48, depth=3, num_heads=3, num_classes=0, **kwargs
    )


def test_is_timms_network_under_timms_names():
    reference, backbone = timm_small().double().eval(), small().double().eval()
    backbone.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(backbone(images), reference(images))


def test_mean_is_timms_average_of_normalised_patch_tokens():
    reference = timm_small(global_pool='avg', fc_norm=False).double().eval()
    backbone = small(output='mean').double().eval()
    backbone.load_state_dict(reference.state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    torch.testing.assert_close(backbone(images), reference(images))


@pytest.mark.parametrize('arch', ['tiny', 'small', 'base', 'large', 'huge', 'giant'])
def test_named_architectures_have_timms_names_and_shapes(arch):
    patch = 14 if arch in ('huge', 'giant') else 16
    with torch.device('meta'):
        reference = timm.create_model(f'vit_{arch}_patch{patch}_224', num_classes=0)
        backbone = VisionTransformer(arch, patch_size=patch)
    expected = {name: tensor.shape for name, tensor in reference.state_dict().items()}
    assert {name: tensor.shape for name, tensor in backbone.state_dict().items()} == expected
    assert backbone.blocks[0].attn.num_heads == reference.blocks[0].attn.num_heads
    assert backbone.feature_dim == reference.num_features


@pytest.mark.parametrize(
    ('arch', 'patch_embed', 'count'),
    [
        ('mocov3-small', 'linear', 41_080_704 - 19_415_040),
        ('base', 'linear', 106_786_560 - 20_987_904),
        (dict(embed_dim=384, depth=11, num_heads=12), 'conv', (82_170_208 - 2_105_344) // 2 - 19_415_040),
    ],
)
def test_parameter_counts_of_moco_v3(arch, patch_embed, count):
    with torch.device('meta'):
        backbone = VisionTransformer(arch, position='sincos', patch_embed=patch_embed)
    assert sum(p.numel() for p in backbone.parameters()) == count


def test_moco_v3_small_has_twelve_heads():
    assert ARCHS['mocov3-small']['num_heads'] == 12


def test_sincos_positions_follow_the_row_first():
    table = sincos_positions((14, 10), 384)[0]
    assert torch.equal(table[0], torch.zeros(384))
    token = table[1:].reshape(14, 10, 384)
    assert math.isclose(token[1, 0, 0], 0.8414709568, rel_tol=1e-7)  # sin(1)
    assert token[0, 1, 0] == 0
    assert math.isclose(token[0, 1, 192], 0.8414709568, rel_tol=1e-7)
    torch.testing.assert_close(table[1:].square().sum(dim=1), torch.full((140,), 192.0))


def test_exactly_positions_and_patch_embedding_are_frozen_in_moco_v3s_transformer():
    backbone = small(position='sincos', patch_embed='frozen', init='mocov3')
    frozen = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}
    assert frozen == {'pos_embed', 'patch_embed.proj.weight', 'patch_embed.proj.bias'}
    backbone(torch.randn(2, 3, 32, 32)).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in backbone.parameters())


def test_moco_v3_initialisation_treats_query_key_value_as_three_matrices():
    backbone = VisionTransformer('tiny', img_size=32, init='mocov3')
    bounds = {
        'blocks.0.attn.qkv.weight': (6 / (192 + 192)) ** 0.5,
        'blocks.0.mlp.fc1.weight': (6 / (192 + 768)) ** 0.5,
        'patch_embed.proj.weight': (6 / (3 * 16 * 16 + 192)) ** 0.5,
    }
    for name, bound in bounds.items():
        weight = backbone.get_parameter(name)
        assert bound * 0.99 < weight.abs().max() <= bound, name
    assert all((p == 0).all() for name, p in backbone.named_parameters() if name.endswith('fc1.bias'))


def test_conv_stem_gives_the_grid_of_a_patch_of_sixteen_and_official_names():
    backbone = VisionTransformer(SMALL, img_size=64, patch_embed='conv', position='sincos')
    images = torch.randn(2, 3, 64, 64)
    assert backbone.patch_embed(images).shape == (2, 16, 48)
    convs = [f'patch_embed.proj.{index}.weight' for index in (0, 3, 6, 9, 12)]
    shapes = [tuple(backbone.get_parameter(name).shape[:2]) for name in convs]
    assert shapes == [(6, 3), (12, 6), (24, 12), (48, 24), (48, 48)]
    backbone(images).sum().backward()
    assert all((p.grad is not None) == p.requires_grad for p in backbone.parameters())


def test_keep_encodes_the_visible_patches_only():
    backbone = small(output='tokens').eval()
    images = torch.randn(2, 3, 32, 32)
    keep = torch.zeros(2, 16, dtype=torch.bool)
    keep[0, [0, 5, 9]] = True
    keep[1, [1, 2, 15]] = True
    visible = backbone(images, keep=keep)
    assert visible.shape == (2, 4, 48)
    hidden_changed = images.clone()
    hidden_changed[0, :, 8:16, 0:8] += 1  # patch 4 of the first image, which is hidden
    assert torch.equal(backbone(hidden_changed, keep=keep), visible)
    torch.testing.assert_close(backbone(images, keep=torch.ones_like(keep)), backbone(images))
    assert torch.equal(backbone(images, keep=torch.tensor([[0, 5, 9], [1, 2, 15]])), visible)
    with pytest.raises(ValueError, match='there are no whole maps'):
        small(output='maps')(images, keep=keep)


@pytest.mark.parametrize('size', [32, 30])
def test_embedding_visible_patches_alone_changes_no_number(size):
    backbone = small().double()
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    keep = torch.tensor([[0, 5, 15], [1, 2, 7]])
    results = []
    for embed in (backbone._embed_visible, lambda images, keep: select_patches(backbone.patch_embed(images), keep)):
        tokens = embed(images, keep)
        results.append((tokens, torch.autograd.grad(tokens.sin().sum(), list(backbone.patch_embed.parameters()))))
    torch.testing.assert_close(*results)


def test_mask_token_stands_in_hidden_places_before_positions_are_added():
    backbone = small(output='tokens').eval()
    images, token = torch.randn(2, 3, 32, 32), torch.randn(1, 1, 48, requires_grad=True)
    mask = torch.zeros(2, 16, dtype=torch.bool)
    mask[0, 4] = True
    encoded = backbone(images, mask=mask, mask_token=token)
    assert encoded.shape == (2, 17, 48)
    hidden_changed = images.clone()
    hidden_changed[0, :, 8:16, 0:8] += 1
    assert torch.equal(backbone(hidden_changed, mask=mask, mask_token=token), encoded)
    torch.testing.assert_close(encoded[1], backbone(images)[1])
    embedded = backbone.patch_embed(images)
    embedded[0, 4] = token[0, 0]
    backbone.patch_embed = torch.nn.Identity()
    backbone.patch_embed.dynamic_feat_size = lambda size: (4, 4)
    backbone.patch_embed.forward = lambda images: embedded
    torch.testing.assert_close(backbone(images), encoded)
    encoded.sum().backward()
    assert token.grad is not None


def test_keep_wants_the_same_number_in_every_image():
    keep = torch.ones(2, 16, dtype=torch.bool)
    keep[0, 0] = False
    with pytest.raises(ValueError, match=r'same number of visible patches.*\[15, 16\]'):
        small()(torch.randn(2, 3, 32, 32), keep=keep)


def test_maps_are_the_tokens_laid_out_as_the_image():
    backbone = small(output='maps', out_indices=(0, 2)).eval()
    images = torch.randn(2, 3, 32, 32)
    maps = backbone(images)
    assert [tuple(m.shape) for m in maps] == [(2, 48, 4, 4)] * 2
    tokens = small(output='tokens').eval()
    tokens.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(maps[-1].flatten(2).transpose(1, 2), tokens(images)[:, 1:])


def test_blocks_behind_the_last_map_are_not_built_and_their_weights_are_passed_over():
    first = small(output='maps', out_indices=(0, 1))
    first.load_state_dict(small().state_dict(), strict=True)
    assert len(first.blocks) == 2
    sum(m.sum() for m in first(torch.randn(1, 3, 32, 32))).backward()
    assert all(p.grad is not None for p in first.parameters())


@pytest.mark.parametrize('size', [(48, 32), (40, 24), (29, 35)])
def test_another_image_size_resamples_the_positions(size):
    backbone = small(output='maps')
    rows, columns = -(-size[0] // 8), -(-size[1] // 8)
    assert backbone(torch.randn(1, 3, *size))[0].shape == (1, 48, rows, columns)


def test_positions_are_read_where_dino_reads_them():
    rows = torch.arange(14.0).view(14, 1, 1).expand(14, 14, 2)
    table = torch.cat([torch.full((1, 1, 2), 9.0), rows.reshape(1, 196, 2)], dim=1)
    resized = scaled_positions(table, (6, 6), (14, 14))
    assert torch.equal(resized[:, 0], table[:, 0])
    found = resized[0, 1:].view(6, 6, 2)[1:5, :, 0]  # the cubic runs over the border in the first and the last row
    expected = (torch.arange(1.0, 5) + 0.5) * 14 / 6.1 - 0.5
    # torch's cubic bends a ramp by up to 0.05; without the 0.1 the last of these would be off by 0.17
    torch.testing.assert_close(found, expected[:, None].expand(4, 6), rtol=0, atol=0.06)
    assert scaled_positions(table, (14, 14), (14, 14)) is table


def test_resampling_is_chosen_and_reaches_the_positions():
    backbone, other = small(position=dict(resample='dino')), small()
    other.load_state_dict(backbone.state_dict())
    images = torch.randn(1, 3, 16, 16)
    assert not torch.allclose(backbone(images), other(images))
    backbone(images).sum().backward()
    assert backbone.pos_embed.grad[:, 1:].any()


def test_loading_another_image_size_resamples_the_positions():
    source, larger = small(), small(img_size=48)
    with torch.no_grad():
        source.pos_embed[:, 1:] = 3.0
    larger.load_state_dict(source.state_dict(), strict=True)
    torch.testing.assert_close(larger.pos_embed[:, 1:], torch.full((1, 36, 48), 3.0))
    assert torch.equal(larger.pos_embed[:, :1], source.pos_embed[:, :1])


def test_stochastic_depth_rises_linearly_to_the_last_block():
    backbone = small(drop_path_rate=0.2)
    assert [getattr(b.drop_path1, 'drop_prob', 0) for b in backbone.blocks] == pytest.approx([0, 0.1, 0.2])


@pytest.mark.parametrize(
    'wrong',
    [dict(arch='medium'), dict(arch=dict(embed_dim=48, depth=2)), dict(output='gap'),
     dict(position='rope'), dict(position=dict(form='mae')), dict(resample='nearest'), dict(init='jax'),
     dict(out_indices=(3,)),
     dict(conv_stem=True, frozen_patch_embed=True), dict(patch_embed='conv'), dict(patch_embed='sine'),
     dict(window_size=7)],
)  # fmt: skip
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        small(**wrong)


def test_without_a_final_norm_a_checkpoint_loads_whole(tmp_path):
    full = small(output='mean').eval()
    torch.save(dict(state_dict=full.state_dict()), tmp_path / 'full.pth')
    bare = small(output='mean', final_norm=False).eval()
    load_file(bare, tmp_path / 'full.pth', min_match=1.0)
    assert not any(name.startswith('norm.') for name in bare.state_dict())
    full.norm = nn.Identity()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(bare(images), full(images))


@pytest.mark.parametrize(
    ('former', 'now'),
    [
        (dict(resample='dino'), dict(position=dict(resample='dino'))),
        (dict(position='mae', resample='dino'), dict(position=dict(kind='mae', resample='dino'))),
        (dict(conv_stem=True, patch_size=16), dict(patch_embed='conv', patch_size=16)),
        (dict(frozen_patch_embed=True, conv_stem=False, window_size=0), dict(patch_embed='frozen')),
    ],
)
def test_arguments_of_earlier_configs_still_work(former, now):
    backbones = []
    for options in (former, now):
        torch.manual_seed(0)
        backbones.append(small(**options))
    assert accepted_arguments(VisionTransformer)[1] and set(former) <= accepted_arguments(VisionTransformer)[0]
    one, other = (backbone.state_dict() for backbone in backbones)
    torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert backbones[0].resample == backbones[1].resample
    trains = [[p.requires_grad for p in backbone.parameters()] for backbone in backbones]
    assert trains[0] == trains[1]


@pytest.mark.parametrize(
    ('arch', 'total'),
    [
        (dict(size='small'), 22_056_576),
        (dict(size='small', registers=4), 22_058_112),
        (dict(size='large'), 304_368_640),
        (dict(size='dinov2-giant', ffn='swiglu'), 1_136_480_768),
        (dict(size='dinov2-giant', ffn='swiglu', registers=4), 1_136_486_912),
    ],
)
def test_parameters_of_dinov2(arch, total):
    with torch.device('meta'):
        backbone = VisionTransformer(dict(arch, layer_scale=1e-5), img_size=518, patch_size=14)
    assert sum(parameter.numel() for parameter in backbone.parameters()) == total - backbone.embed_dim  # mask token


def test_a_detector_ignores_registers_of_a_file():
    arch = dict(embed_dim=24, depth=2, num_heads=3, layer_scale=0.1)
    trained = VisionTransformer(dict(arch, registers=2), img_size=16, patch_size=4)
    detector = WindowedViT(arch, img_size=16, patch_size=4, window_size=2)
    detector.load_state_dict(trained.state_dict(), strict=True)
    assert [x.shape for x in detector(torch.randn(1, 3, 16, 16))] == [(1, 24, 4, 4)]


def test_options_of_the_architecture_are_checked():
    with pytest.raises(ValueError, match='ffn must be one of'):
        VisionTransformer(dict(size='tiny', ffn='glu'))
    with pytest.raises(ValueError, match='drop_path_kind must be one of'):
        VisionTransformer('tiny', drop_path_rate=dict(rate=0.1, kind='batch'))
    with pytest.raises(ValueError, match='number or a dict of rate and kind'):
        VisionTransformer('tiny', drop_path_rate=dict(kind='subset'))
    with pytest.raises(ValueError, match=r"may hold mlp_ratio, registers, ffn, layer_scale, got .*'register'"):
        VisionTransformer(dict(size='tiny', register=4, ffn='swiglu'))


def test_visible_patches_alone_cannot_be_masked():
    backbone = VisionTransformer(dict(embed_dim=24, depth=1, num_heads=3), img_size=16, patch_size=4)
    with pytest.raises(ValueError, match='give either keep or mask'):
        backbone(
            torch.randn(1, 3, 16, 16),
            keep=torch.arange(4)[None],
            mask=torch.ones(1, 16, dtype=torch.bool),
            mask_token=torch.zeros(1, 1, 24),
        )

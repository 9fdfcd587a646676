"""The transformer with relative positions: equal to timm's, sizes, tables, initial values."""

from __future__ import annotations

import pytest
import timm
import torch
from torch.testing import assert_close

from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.models.layers.relative_positions import CLS_ROWS, resize_relative_table

ARCH = dict(embed_dim=24, depth=2, num_heads=2)


def small(**options):
    return BEiTViT(**(dict(arch=ARCH, img_size=32, patch_size=8, output='tokens') | options)).eval()


def randomized(backbone):
    for parameter in backbone.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return backbone


@pytest.mark.parametrize('table', ['shared', 'per-block'])
def test_equals_timm(table):
    ours = randomized(small(relative_table=table))
    theirs = timm.models.beit.Beit(
        img_size=32,
        patch_size=8,
        num_classes=0,
        global_pool='token',
        embed_dim=24,
        depth=2,
        num_heads=2,
        init_values=0.1,
        use_abs_pos_emb=False,
        use_rel_pos_bias=table != 'shared',
        use_shared_rel_pos_bias=table == 'shared',
        norm_layer=lambda dim, **kwargs: torch.nn.LayerNorm(dim, eps=1e-6, **kwargs),
    ).eval()
    theirs.load_state_dict(ours.state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 32)
    assert_close(ours(images), theirs.forward_features(images))


def test_outputs():
    backbone, images = randomized(small(output='maps', out_indices=(0, 1))), torch.randn(2, 3, 32, 40)
    tokens = randomized(small())
    tokens.load_state_dict(backbone.state_dict())
    first, last = backbone(images)
    expected = tokens(images)
    assert first.shape == last.shape == (2, 24, 4, 5)
    assert_close(last.flatten(2).transpose(1, 2), expected[:, 1:])
    tokens.output = 'cls'
    assert_close(tokens(images), expected[:, 0])
    tokens.output = 'mean'
    assert_close(tokens(images), expected[:, 1:].mean(dim=1))


def test_blocks_behind_the_last_map_are_not_built_and_passed_over():
    whole, first = small(), small(output='maps', out_indices=(0,))
    assert len(first.blocks) == 1
    first.load_state_dict(whole.state_dict(), strict=True)


def test_hidden_patches_have_no_part():
    backbone, images = randomized(small()), torch.randn(2, 3, 32, 32)
    mask = torch.zeros(2, 16, dtype=torch.bool)
    mask[0, 4] = True
    token = torch.randn(1, 1, 24, requires_grad=True)
    encoded = backbone(images, mask=mask, mask_token=token)
    changed = images.clone()
    changed[0, :, 8:16, 0:8] += 1
    assert torch.equal(backbone(changed, mask=mask, mask_token=token), encoded)
    assert_close(encoded[1], backbone(images)[1])
    encoded.sum().backward()
    assert token.grad is not None
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_a_shared_table_loads_into_every_block():
    shared, apart = randomized(small()), small(relative_table='per-block')
    apart.load_state_dict(shared.state_dict(), strict=True)
    images = torch.randn(2, 3, 32, 32)
    assert_close(apart(images), shared(images))
    tables = [block.attn.relative_position_bias_table for block in apart.blocks]
    assert tables[0] is not tables[1] and torch.equal(tables[0], tables[1])


@pytest.mark.parametrize('table', ['shared', 'per-block'])
def test_another_size_is_met_alike_by_images_and_checkpoints(table):
    backbone, larger = randomized(small(relative_table=table)), small(relative_table=table, img_size=48)
    larger.load_state_dict(backbone.state_dict(), strict=True)
    images = torch.randn(2, 3, 48, 48)
    assert_close(backbone(images), larger(images))
    owner = larger.rel_pos_bias or larger.blocks[1].attn
    own = backbone.rel_pos_bias or backbone.blocks[1].attn
    expected = resize_relative_table(own.relative_position_bias_table, (4, 4), (6, 6))
    assert_close(owner.relative_position_bias_table, expected)
    assert len(expected) == 11 * 11 + CLS_ROWS


def test_initial_values():
    backbone = BEiTViT(arch=dict(embed_dim=192, depth=12, num_heads=3), img_size=32, patch_size=8)
    for name in ('attn.proj', 'mlp.fc2'):
        first, last = (backbone.blocks[index].get_submodule(name).weight.std() for index in (0, 11))
        assert abs(last / first - 12**-0.5) < 0.01
    weight = backbone.blocks[5].attn.qkv.weight
    assert weight.abs().max() <= 0.02 and weight.abs().max() > 0.0199
    assert backbone.patch_embed.proj.weight.abs().max() <= 0.02
    assert not backbone.rel_pos_bias.relative_position_bias_table.any()
    assert (backbone.blocks[3].gamma_1 == 0.1).all()
    assert all(not parameter.any() for name, parameter in backbone.named_parameters() if name.endswith('bias'))


def test_keys_have_no_bias():
    names = small().state_dict().keys()
    assert {'blocks.0.attn.q_bias', 'blocks.0.attn.v_bias'} <= names and 'blocks.0.attn.qkv.bias' not in names
    attention = randomized(small()).blocks[0].attn
    attention.qkv.weight.data.zero_()
    attention.proj = torch.nn.Identity()
    out = attention(torch.randn(1, 5, 24))
    assert_close(out, attention.v_bias.expand(1, 5, 24))  # equal keys and values: every token is the value's bias


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(output='map'), 'output must be one of'),
        (dict(relative_table='own'), 'relative_table must be one of'),
        (dict(out_indices=(2,)), 'must name blocks 0 to 1'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)

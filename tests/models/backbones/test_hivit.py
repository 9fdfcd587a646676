"""HiViT: what its layers do with units, what leaves early, how positions follow the image; sizes of the named ones."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate
from torch.testing import assert_close

from mmssl.checkpoints.matching import load_matching
from mmssl.models.backbones.hivit import HiViT
from mmssl.models.layers.hivit_blocks import Attention, PatchEmbed, PatchMerge, PatchSplit, Places
from mmssl.models.layers.positions import scaled_positions, sincos_positions
from mmssl.models.layers.relative_positions import bicubic_relative_table
from mmssl.utils.errors import UserError
from tests.support.checkpoints import load_file

SMALL = dict(embed_dim=32, depths=(1, 1, 2), num_heads=2)
KEEP = torch.tensor([[0, 2, 3], [1, 2, 5]])


def small(**options) -> HiViT:
    """A backbone of images of 2 x 3 units of 16 pixels, whose position parameters are not at zero."""
    backbone = HiViT(**dict(arch=SMALL, img_size=(32, 48), output='units') | options)
    for name, parameter in backbone.named_parameters():
        if 'relative' in name or 'rel_pos' in name:
            nn.init.normal_(parameter)
    return backbone.eval()


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(
    ('arch', 'options', 'expected'),
    [
        ('tiny', dict(position=dict(bias='table')), 19_181_668),
        ('small', dict(position=dict(bias='table')), 37_526_464),
        ('base', dict(position=dict(bias='table')), 66_418_952),
        ('itpn-base', dict(position=dict(bias='table')), 78_557_992),
        ('itpn-large', dict(position=dict(bias='table')), 288_493_576),
        ('itpn-base', dict(position=dict(bias='table'), layer_scale=0.1), 78_583_720),
        ('itpn-large', dict(position=dict(bias='table'), layer_scale=0.1), 288_556_168),
        ('fast-itpn-tiny', dict(layer_scale=0.1), 24_219_976),
        ('fast-itpn-small', dict(layer_scale=0.1), 39_902_920),
        ('fast-itpn-base', dict(layer_scale=0.1), 84_825_192),
        ('fast-itpn-large', dict(layer_scale=0.1), 312_017_320),
    ],
)
def test_parameters_of_classifiers(arch, options, expected):
    with torch.device('meta'):
        backbone = HiViT(arch, **options)
    width = backbone.feature_dim
    assert count(backbone) + 2 * width + 1000 * (width + 1) == expected  # fc_norm, head


def test_parameters_of_the_parts():
    with torch.device('meta'):
        backbone = HiViT('itpn-base', position=dict(bias='table'))
    parts = {name: count(module) for name, module in backbone.named_children()}
    assert parts == dict(patch_embed=6_528, blocks=77_937_088)
    assert backbone.absolute_pos_embed.numel() == 100_352
    tables = [p.numel() for name, p in backbone.named_parameters() if name.endswith('bias_table')]
    assert sum(tables) == 139_968 and len(tables) == 24


def test_cells_are_grouped_by_unit():
    cells = torch.arange(64.0).view(8, 8)
    image = cells.repeat_interleave(4, 0).repeat_interleave(4, 1).expand(1, 3, 32, 32)
    embed = PatchEmbed(1, stride=4, norm=None)
    nn.init.constant_(embed.proj.weight, 1 / 48)
    nn.init.zeros_(embed.proj.bias)
    units = embed(image)[0, ..., 0].round().int().tolist()
    assert units[1] == [[4, 5, 6, 7], [12, 13, 14, 15], [20, 21, 22, 23], [28, 29, 30, 31]]
    assert units[2][0] == [32, 33, 34, 35]


@pytest.mark.parametrize('joint', [True, False])
def test_order_in_which_neighbours_are_merged(joint):
    merge = PatchMerge(1, lambda width: nn.Identity(), joint=joint)
    merged = []
    merge.reduction.register_forward_pre_hook(lambda module, inputs: merged.append(inputs[0]))
    merge(torch.arange(16.0).view(1, 1, 4, 4, 1))
    assert merged[0].view(4, 4).tolist() == [[0, 4, 1, 5], [2, 6, 3, 7], [8, 12, 9, 13], [10, 14, 11, 15]]


def test_order_in_which_a_position_is_split():
    split = PatchSplit(4, 1, lambda width: nn.Identity())
    nn.init.eye_(split.reduction.weight)
    assert split(torch.arange(4.0).view(1, 1, 1, 1, 4)).view(2, 2).tolist() == [[0, 1], [2, 3]]
    two = split(torch.arange(8.0).view(1, 1, 1, 2, 4))
    assert two.view(2, 4).tolist() == [[0, 1, 4, 5], [2, 3, 6, 7]]


def test_stages_by_unit_and_as_maps():
    backbone, images = small(), torch.randn(2, 3, 32, 48)
    units = backbone(images)
    assert [tuple(stage.shape) for stage in units] == [(2, 6, 4, 4, 8), (2, 6, 2, 2, 16), (2, 6, 32)]
    backbone.output = 'maps'
    fine, middle, coarse = backbone(images)
    assert [tuple(m.shape) for m in (fine, middle, coarse)] == [(2, 8, 8, 12), (2, 16, 4, 6), (2, 32, 2, 3)]
    assert torch.equal(fine[1, :, 5, 9], units[0][1, 5, 1, 1])  # row 5 = unit row 1, cell 1; column 9 = unit 2, cell 1
    assert torch.equal(middle[0, :, 2, 3], units[1][0, 4, 0, 1])
    assert torch.equal(coarse[0, :, 1, 2], units[2][0, 5])
    backbone.output = 'mean'
    assert_close(backbone(images), units[2].mean(dim=1))


def test_maps_that_a_detector_without_pyramid_wants():
    with torch.device('meta'):
        maps = HiViT('base', out_indices=(0, 1, 2, 3))(torch.empty(1, 3, 224, 224))
    assert [tuple(m.shape[1:]) for m in maps] == [(128, 56, 56), (256, 28, 28), (512, 14, 14), (512, 7, 7)]


def test_early_tokens_stand_before_the_last():
    images = torch.randn(1, 3, 32, 48)
    backbone = small(early_block=0)
    *_, early, last = backbone(images)
    assert len(backbone(images)) == 4
    assert_close(backbone.blocks[-1](early, Places((2, 3), None, None)), last)


@pytest.mark.parametrize('position_bias', ['off', 'table', 'axis'])
@pytest.mark.parametrize('size', [(32, 48), (64, 32)])
def test_hidden_units_are_as_if_attention_had_not_seen_them(position_bias, size):
    backbone, images = small(position_bias=position_bias).double(), torch.randn(2, 3, *size, dtype=torch.float64)
    grid = (size[0] // 16, size[1] // 16)
    keep = KEEP if grid == (2, 3) else torch.tensor([[0, 3, 7], [2, 4, 5]])
    expected = by_hand(backbone, images, grid, keep)
    found = backbone(images, keep=keep)
    assert [stage.shape[1] for stage in found] == [3, 3, 3]
    assert_close(found[-1], expected)
    is_visible = torch.zeros(2, grid[0] * grid[1], dtype=torch.bool).scatter(1, keep, True)
    assert torch.equal(backbone(images, keep=is_visible)[-1], found[-1])


def by_hand(backbone: HiViT, images, grid, keep):
    """Stage 3 of visible units from attention over all units that weighs the hidden ones with zero."""
    *_, tokens = backbone._first_stages(backbone.patch_embed(images))
    tokens = tokens + backbone._positions(grid, is_whole=False)
    hidden = torch.ones(tokens.shape[:2], dtype=torch.bool).scatter(1, keep, False)
    for block in backbone.blocks[-2:]:
        q, k, v = block.attn.qkv(block.norm1(tokens)).unflatten(-1, (3, 2, 16)).permute(2, 0, 3, 1, 4)
        scores = q @ k.mT / 4 + bias_by_hand(block.attn, q, grid)
        attention = scores.masked_fill(hidden[:, None, None], -torch.inf).softmax(dim=-1)
        tokens = tokens + block.attn.proj((attention @ v).transpose(1, 2).flatten(2))
        tokens = tokens + block.mlp(block.norm2(tokens))
    return tokens.gather(1, keep.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


def bias_by_hand(attention: Attention, queries, grid):
    """(N, heads, L, L), pair by pair."""
    bias = torch.zeros(*queries.shape[:3], queries.shape[2], dtype=queries.dtype)
    if attention.position_bias == 'off':
        return bias
    rows, columns = grid
    if attention.position_bias == 'table':
        table = bicubic_relative_table(attention.relative_position_bias_table, attention.grid, grid)
        table = table.view(2 * rows - 1, 2 * columns - 1, -1)
    else:
        down, right = (
            interpolate(offsets.T[None], 2 * size - 1, mode='linear')[0].T
            for offsets, size in ((attention.rel_pos_h, rows), (attention.rel_pos_w, columns))
        )
    for query, key in product(range(rows * columns), repeat=2):
        row, column = query // columns - key // columns + rows - 1, query % columns - key % columns + columns - 1
        if attention.position_bias == 'table':
            bias[..., query, key] = table[row, column]
        else:
            bias[..., query, key] = queries[..., query, :] @ (down[row] + right[column])
    return bias


def test_visible_units_do_not_know_the_hidden_ones():
    backbone, images = small(position=dict(bias='table')), torch.randn(2, 3, 32, 48)
    changed = images.clone()
    changed[0, :, :16, 16:32] += 1  # unit 1, which the first image hides
    for one, other in zip(backbone(images, keep=KEEP), backbone(changed, keep=KEEP)):
        assert torch.equal(one, other)


def test_a_mask_token_stands_in_for_a_unit_when_stage_three_begins():
    backbone, images, token = small(early_block=0), torch.randn(1, 3, 32, 48), torch.randn(1, 1, 32)
    mask = torch.tensor([[False, True, False, False, False, False]])
    changed = images.clone()
    changed[0, :, :16, 16:32] += 1
    one, other = (backbone(x, mask=mask, mask_token=token) for x in (images, changed))
    assert [torch.equal(*pair) for pair in zip(one, other)] == [False, False, True, True]
    assert not torch.equal(backbone(images, mask=mask, mask_token=2 * token)[-1], one[-1])
    assert torch.equal(backbone(images, mask=~mask & mask, mask_token=token)[-1], backbone(images)[-1])


def test_pairs_of_the_relative_table():
    pairs = HiViT(SMALL, position=dict(bias='table'))._pairs
    assert [pairs[0, 0], pairs[0, 1], pairs[0, 195], pairs[195, 0]] == [364, 363, 0, 728]


def test_a_resized_table_keeps_what_is_the_same_everywhere_and_where_distances_are():
    table = torch.arange(2.0).expand(15, 2)
    assert_close(bicubic_relative_table(table, (2, 3), (4, 5)), torch.arange(2.0).expand(63, 2))
    right = (torch.arange(27.0) - 13).repeat(27).unsqueeze(1)  # how far the query is to the right
    resized = bicubic_relative_table(right, (14, 14), (28, 7)).view(55, 13)
    assert_close(resized[:, 6], torch.zeros(55), atol=1e-5, rtol=0)
    assert (resized.diff(dim=1) > 1.5).all() and (resized.diff(dim=1) < 2.5).all()


@pytest.mark.parametrize('position_bias', ['off', 'table', 'axis'])
@pytest.mark.parametrize('resample', ['antialiased', 'dino'])
def test_any_image_of_whole_units(position_bias, resample):
    backbone = small(position_bias=position_bias, resample=resample, output='maps', out_indices=(2,))
    for height, width in ((16, 16), (80, 32), (48, 32)):
        (found,) = backbone(torch.randn(1, 3, height, width))
        assert found.shape == (1, 32, height // 16, width // 16)
    with pytest.raises(ValueError, match='multiples of the unit of 16 pixels, got 32 x 40'):
        backbone(torch.randn(1, 3, 32, 40))


def test_how_positions_follow_the_image():
    tables = {name: small(resample=name)._positions((4, 4), is_whole=True) for name in ('antialiased', 'dino', 'itpn')}
    own = small().absolute_pos_embed
    assert torch.equal(tables['dino'], scaled_positions(own, (4, 4), (2, 3), prefix=0))
    assert torch.equal(tables['itpn'], tables['dino'])
    assert not torch.allclose(tables['antialiased'], tables['dino'])
    by_three = small().double()
    third, whole = by_three._positions((4, 4), is_whole=True) / 3, by_three.absolute_pos_embed
    whole.data /= 3
    assert_close(by_three._positions((4, 4), is_whole=True), third, rtol=1e-13, atol=1e-15)  # in float64
    for name, is_own in (('antialiased', True), ('dino', True), ('itpn', False)):
        backbone = small(resample=name)
        assert torch.equal(backbone._positions((2, 3), is_whole=True), own)
        assert torch.equal(backbone._positions((2, 3), is_whole=False), own) == is_own


def test_initial_positions():
    table = HiViT(dict(SMALL, embed_dim=512, num_heads=8), position='sincos').absolute_pos_embed
    assert table.requires_grad and table.shape == (1, 196, 512)
    assert_close(table.sum().item(), 46340.333, rtol=0, atol=0.01)
    assert_close(table.abs().sum().item(), 56094.489, rtol=0, atol=0.01)
    expected = [0.841471, 0.801962, 0.540302, 0.841471, 0.540302, 1.0]
    assert_close(table[0, 15, [0, 1, 128, 256, 384, 511]].tolist(), expected, rtol=0, atol=1e-6)
    assert_close(table[0, 1, 256:], sincos_positions((1, 1), 512, prefix=0)[0, 0, 256:])  # the row is 0
    assert 0.015 < HiViT(SMALL, position='learned').absolute_pos_embed.std() < 0.025


def test_a_checkpoint_of_another_grid_is_resized():
    source, target = (HiViT(SMALL, size, position=dict(bias='table')) for size in (64, (64, 96)))
    axis, wider = (HiViT(SMALL, size, position=dict(bias='axis')) for size in (64, (64, 96)))
    for parameter in (*source.parameters(), *axis.parameters()):
        nn.init.constant_(parameter, 3.0)
    target.load_state_dict(source.state_dict(), strict=True)
    wider.load_state_dict(axis.state_dict(), strict=True)
    assert target.absolute_pos_embed.shape == (1, 24, 32)
    for backbone in (target, wider):
        for parameter in backbone.parameters():
            assert_close(parameter, torch.full_like(parameter, 3.0))


def test_relative_positions_begin_anew_or_are_passed_over(tmp_path):
    """From pre-training without to fine-tuning with them, and on to detection without."""
    plain, tabled, axial = (HiViT(SMALL, 64, position_bias=bias) for bias in ('off', 'table', 'axis'))
    for source, target in ((plain, tabled), (tabled, plain), (plain, axial), (tabled, axial)):
        before = {name: p.detach().clone() for name, p in target.named_parameters()}
        nn.init.ones_(source.absolute_pos_embed)
        torch.save(dict(state_dict=source.state_dict()), tmp_path / 'source.pth')
        load_file(target, tmp_path / 'source.pth', min_match=1.0)
        own = dict(source.named_parameters())
        for name, parameter in target.named_parameters():
            assert torch.equal(parameter, own.get(name, before[name])), name
    with pytest.raises(UserError, match='match, so nothing was loaded'):  # relative positions alone are no backbone
        load_matching(tabled, {'blocks.4.norm1.weight': torch.ones(32)}, 'memory')


def test_stochastic_depth_rises_over_the_blocks_alone():
    for arch, number in (('base', 28), ('tiny', 14), ('itpn-base', 30), ('itpn-large', 44)):
        with torch.device('meta'):
            backbone = HiViT(arch, drop_path_rate=0.3)
        rates = [getattr(b.drop_path, 'drop_prob', 0.0) for b in backbone.blocks if not isinstance(b, PatchMerge)]
        assert rates == pytest.approx([0.3 * k / (number - 1) for k in range(number)])


def test_distance_from_the_output():
    for arch, blocks, first in (('base', 28, 10), ('itpn-base', 30, 8), ('itpn-large', 44, 6)):
        with torch.device('meta'):
            layers = HiViT(arch, layer_scale=0.1, position=dict(bias='table')).layers_to_output()
        last = max(int(name.split('.')[1]) for name in layers if name.startswith('blocks'))
        assert layers['absolute_pos_embed'] == layers['patch_embed.proj.weight'] == blocks + 1
        assert layers['blocks.0.norm2.weight'] == layers['blocks.0.gamma_2'] == blocks
        assert layers[f'blocks.{last}.mlp.fc2.bias'] == 1 and len(set(layers.values())) == blocks + 1
        assert layers[f'blocks.{first}.attn.qkv.weight'] == last - first + 1
        merges = [name for name in layers if name.endswith('reduction.weight')]
        before = [f'blocks.{int(name.split(".")[1]) - 1}.norm2.weight' for name in merges]
        assert len(merges) == 2 and [layers[name] for name in merges] == [layers[name] for name in before]


@pytest.mark.parametrize('position_bias', ['off', 'table', 'axis'])
def test_blocks_compile_as_one_graph_each(position_bias):
    backbone, images = small(position_bias=position_bias, layer_scale=0.1), torch.randn(2, 3, 32, 48)
    expected = backbone(images, keep=KEEP)
    for block in backbone.blocks:
        block.compile(backend='eager', fullgraph=True, dynamic=False)
    for one, other in zip(backbone(images, keep=KEEP), expected):
        assert_close(one, other)
    torch._dynamo.reset()


def test_fast_itpn_has_swiglu_norms_within_and_no_bias_of_keys():
    backbone = small(arch=dict(SMALL, mlp_ratio=3.0, fast=True), layer_scale=0.1)
    names = {name.split('.', 2)[2] for name, _ in backbone.named_parameters() if name.startswith('blocks.4.')}
    attention = {f'attn.{name}' for name in ('q_bias', 'v_bias', 'proj.weight', 'proj.bias')}
    attention |= {f'attn.{name}_proj.weight' for name in 'qkv'}
    mlp = {f'mlp.{name}.{kind}' for name in ('w1', 'w2', 'w3', 'ffn_ln') for kind in ('weight', 'bias')}
    norms = {f'norm{index}.{kind}' for index in (1, 2) for kind in ('weight', 'bias')}
    assert names == attention | mlp | norms | {'gamma_1', 'gamma_2'}
    assert backbone.blocks[0].gamma_2 is None and isinstance(backbone.patch_embed.norm, nn.Identity)
    sum(stage.sum() for stage in backbone(torch.randn(2, 3, 32, 48), keep=KEEP)).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize(
    'wrong',
    [
        dict(arch='medium'),
        dict(arch=dict(embed_dim=32, depths=(1, 2), num_heads=2)),
        dict(arch=dict(SMALL, embed_dim=30)),
        dict(output='tokens'),
        dict(position_bias='rope'),
        dict(position='fixed'),
        dict(resample='nearest'),
        dict(out_indices=(4,)),
        dict(early_block=2),
        dict(early_block=0, output='maps'),
        dict(window_size=2, output='maps'),
        dict(position=dict(form='table')),
    ],
)
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        small(**wrong)


def test_maps_cannot_be_made_of_some_units():
    with pytest.raises(ValueError, match='there are no whole maps'):
        small(output='maps')(torch.randn(2, 3, 32, 48), keep=KEEP)


@pytest.mark.parametrize(('there', 'here'), [('table', 'off'), ('off', 'table'), ('table', 'axis'), ('off', 'axis')])
def test_fine_tuning_adds_relative_positions_and_leaves_them(there, here):
    checkpoint, backbone = small(position_bias=there).state_dict(), small(position_bias=here)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    backbone.load_state_dict(dict(checkpoint), strict=True)
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, checkpoint.get(name, before[name]))


def test_a_mask_of_another_grid_is_refused():
    images, token = torch.randn(2, 3, 32, 48), torch.zeros(1, 1, 1)
    for units in (1, 9):
        with pytest.raises(ValueError, match=f'the mask has {units} patches and the images 6'):
            small()(images, mask=torch.ones(2, units, dtype=torch.bool), mask_token=token)
    with pytest.raises(ValueError, match='a mask needs a mask_token'):
        small()(images, mask=torch.ones(2, 6, dtype=torch.bool))

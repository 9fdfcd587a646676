"""Distances of parameters from the output, for every kind of backbone."""

from __future__ import annotations

import pytest

from mmssl.registry import BACKBONES

VIT = dict(type='VisionTransformer', arch=dict(embed_dim=16, depth=3, num_heads=2), img_size=32)


def _distances(**cfg: object) -> dict[str, int]:
    return BACKBONES.build(cfg).layers_to_output()


def test_a_vision_transformer_counts_blocks() -> None:
    distances = _distances(**VIT)
    expected = {'cls_token': 4, 'pos_embed': 4, 'patch_embed.proj.bias': 4, 'blocks.0.attn.qkv.weight': 3}
    expected |= {'blocks.2.mlp.fc2.bias': 1, 'norm.weight': 0}
    assert {name: distances[name] for name in expected} == expected
    assert BACKBONES.build(VIT).no_weight_decay() == {'cls_token', 'pos_embed'}


def test_beit_decays_its_relative_tables() -> None:
    backbone = BACKBONES.build(dict(VIT, type='BEiTViT', relative_table='per-block'))
    distances = backbone.layers_to_output()
    assert distances['blocks.1.attn.relative_position_bias_table'] == distances['blocks.1.gamma_1'] == 2
    assert (distances['cls_token'], distances['norm.bias']) == (4, 0)
    assert backbone.no_weight_decay() == {'cls_token'}


def test_the_last_block_that_was_built_is_nearest_to_the_output() -> None:
    distances = _distances(**VIT, output='maps', out_indices=(1,))
    assert (distances['blocks.1.norm1.weight'], distances['blocks.0.norm1.weight']) == (1, 2)


def test_a_residual_network_counts_blocks_over_its_stages() -> None:
    distances = _distances(type='ResNet', depth=18, width=0.125)
    assert (distances['conv1.weight'], distances['bn1.bias']) == (9, 9)
    blocks = [distances[f'layer{stage}.{block}.conv1.weight'] for stage in range(1, 5) for block in range(2)]
    assert blocks == [8, 7, 6, 5, 4, 3, 2, 1]
    assert distances['layer4.0.downsample.0.weight'] == 2


def test_swin_reduces_resolution_at_the_distance_of_the_block_before() -> None:
    options = dict(type='TimmBackbone', name='swin_tiny_patch4_window7_224', embed_dim=12, depths=(2, 1, 1, 1))
    distances = _distances(**options, num_heads=(1, 1, 1, 1))
    assert distances['model.patch_embed.proj.weight'] == 6 and distances['model.norm.weight'] == 0
    assert distances['model.layers.0.blocks.1.mlp.fc1.weight'] == distances['model.layers.1.downsample.norm.bias'] == 4
    assert distances['model.layers.3.blocks.0.attn.qkv.weight'] == 1
    tables = BACKBONES.build(dict(options, num_heads=(1, 1, 1, 1))).no_weight_decay()
    assert len(tables) == 5 and all(name.endswith('relative_position_bias_table') for name in tables)


def test_maps_of_timm_models_count_alike() -> None:
    distances = _distances(type='TimmBackbone', name='resnet18', out_indices=(1, 4))
    assert (distances['model.conv1.weight'], distances['model.layer4.1.conv2.weight']) == (9, 1)


def test_a_network_without_blocks_says_so() -> None:
    with pytest.raises(ValueError, match='no blocks'):
        _distances(type='TimmBackbone', name='vgg11', out_indices=(0,))

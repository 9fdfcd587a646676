"""Official names of BEiT, MaskFeat and SimMIM beyond the recorded cases: downstream files, what has no place here."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmssl.converters.convert import convert, rename
from mmssl.converters.detect import detect_source
from mmssl.converters.transfer import transfer_weights
from mmssl.models.backbones.beit_vit import BEiTViT
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError
from tests.models.algorithms.test_maskfeat import CONFIG

SMALL = dict(arch=dict(embed_dim=24, depth=2, num_heads=2), img_size=32, patch_size=8)


def beit(**options):
    """A checkpoint with the official names of BEiT."""
    tensors = BEiTViT(**SMALL, **options).state_dict()
    index = torch.zeros(17, 17, dtype=torch.int64)
    return tensors | {'mask_token': torch.zeros(1, 1, 24), 'rel_pos_bias.relative_position_index': index}


def test_a_pre_trained_beit_becomes_a_backbone_with_a_table_per_block():
    official = beit() | {'lm_head.weight': torch.zeros(8, 24), 'lm_head.bias': torch.zeros(8)}
    official['rel_pos_bias.relative_position_bias_table'] = torch.randn(52, 2)
    backbone = BEiTViT(**SMALL, relative_table='per-block')
    backbone.load_state_dict(convert(official, 'beit', part='backbone'), strict=True)
    for block in backbone.blocks:
        table = block.attn.relative_position_bias_table
        assert torch.equal(table, official['rel_pos_bias.relative_position_bias_table'])


def test_a_fine_tuned_beit_keeps_no_classifier():
    official = BEiTViT(**SMALL, relative_table='per-block', final_norm=False).state_dict()
    official |= {'blocks.0.attn.relative_position_index': torch.zeros(17, 17), 'head.weight': torch.zeros(3, 24)}
    official |= {'fc_norm.weight': torch.zeros(24)}
    converted = convert(official, 'beit', part='backbone')
    assert converted.keys() == BEiTViT(**SMALL, relative_table='per-block', final_norm=False).state_dict().keys()


def test_maskfeat():
    model = ALGORITHMS.build(CONFIG)
    official = {
        name.removeprefix('backbone.')
        .replace('norm.', 'pred_head.transforms.0.0.' if name.startswith('backbone.norm.') else 'norm.')
        .replace('neck.layer.', 'pred_head.projections.0.'): torch.randn_like(tensor)
        for name, tensor in model.state_dict().items()
    }
    official['hogs.0.weight_x'] = torch.zeros(3, 1, 3, 3)
    assert detect_source(dict(model_state=official, epoch=3)) == 'maskfeat'
    assert 'pred_head.transforms.0.0.weight' in official and 'blocks.0.attn.qkv.bias' in official
    model.load_state_dict(convert(dict(model_state=official), 'maskfeat'), strict=True)
    assert torch.equal(model.backbone.norm.weight, official['pred_head.transforms.0.0.weight'])


@pytest.mark.parametrize(
    ('name', 'ours'),
    [
        ('encoder.layers.0.downsample.reduction.weight', 'backbone.model.layers.1.downsample.reduction.weight'),
        ('encoder.layers.2.blocks.17.mlp.fc1.bias', 'backbone.model.layers.2.blocks.17.mlp.fc1.bias'),
        ('encoder.layers.0.blocks.1.attn_mask', None),
        ('encoder.layers.0.blocks.1.attn.relative_position_index', None),
        ('decoder.0.bias', 'neck.layers.0.bias'),
    ],
)
def test_swin_of_simmim(name, ours):
    assert rename(name, 'simmim_swin') == ours


def test_sources_are_found_by_their_names():
    assert detect_source(beit()) == 'beit'
    decoder = {'decoder.0.weight': torch.zeros(3, 3), 'decoder.0.bias': torch.zeros(3)}
    assert detect_source({f'encoder.{name}': tensor for name, tensor in beit().items()} | decoder) == 'simmim'
    swin = ['patch_embed.norm.weight', 'layers.0.blocks.0.attn.qkv.weight', 'layers.0.downsample.norm.weight']
    assert detect_source({f'encoder.{name}': torch.zeros(1) for name in swin} | decoder) == 'simmim_swin'


def test_another_source_is_refused():
    with pytest.raises(UserError, match="source 'simmim' does not know"):
        convert(beit(), 'simmim')


def test_a_start_from_public_weights_takes_the_mask_token(tmp_path):
    official = beit() | {'mask_token': torch.full((1, 1, 24), 0.5)}
    torch.save(official, tmp_path / 'beit.pth')
    model = nn.Module()
    model.backbone, model.mask_token = BEiTViT(**SMALL), nn.Parameter(torch.zeros(1, 1, 24))
    transfer_weights(model, tmp_path / 'beit.pth')
    assert (model.mask_token == 0.5).all()

"""Tables of positions follow the grid that they were made for, which their length does not tell."""

import io
from pathlib import Path

import pytest
import torch
from timm.layers import resample_abs_pos_embed

from mmssl.checkpoints.content import get_state_dict
from mmssl.models.layers.relative_positions import bicubic_relative_table, resize_relative_table
from mmssl.registry import BACKBONES, MODELS
from mmssl.utils.errors import UserError
from tests.support.checkpoints import load_file

_VIT = dict(arch=dict(embed_dim=16, depth=1, num_heads=2), patch_size=4)
_HIVIT = dict(arch=dict(embed_dim=16, depths=(1, 1, 1), num_heads=2), stem_stride=1, position_bias='table')
# Config; per table of the model its name and how it gets to another grid.
KINDS = {
    'ViT': (dict(_VIT, type='VisionTransformer'), {'pos_embed': resample_abs_pos_embed}),
    'BEiT': (
        dict(_VIT, type='BEiTViT'),
        {'rel_pos_bias.relative_position_bias_table': (lambda table, new, old: resize_relative_table(table, old, new))},
    ),
    'HiViT': (
        dict(_HIVIT, type='HiViT'),
        {
            'absolute_pos_embed': lambda table, new, old: resample_abs_pos_embed(table, new, old, num_prefix_tokens=0),
            'blocks.4.attn.relative_position_bias_table': (
                lambda table, new, old: bicubic_relative_table(table, old, new)
            ),
        },
    ),
}
SIZES = [((16, 64), (32, 128)), ((32, 64), (64, 32)), ((16, 64), (32, 32)), ((32, 32), (32, 64))]


def _build(kind: str, size: tuple[int, int]) -> torch.nn.Module:
    torch.manual_seed(size[0])
    backbone = BACKBONES.build(dict(KINDS[kind][0], img_size=size))
    for name, table in backbone.named_parameters():
        if name.endswith(('pos_embed', 'bias_table')):
            torch.nn.init.normal_(table)
    return backbone


@pytest.mark.parametrize('known_by', ['metadata', 'config'])
@pytest.mark.parametrize(('there', 'here'), SIZES)
@pytest.mark.parametrize('kind', KINDS)
def test_a_table_follows_its_own_grid(kind, there, here, known_by, tmp_path: Path):
    source, target = _build(kind, there), _build(kind, here)
    state = source.state_dict()
    meta = {}
    if known_by == 'config':  # as in files of earlier versions
        state = dict(state)
        meta = dict(backbone=dict(KINDS[kind][0], img_size=there))
    torch.save(dict(state_dict=state, meta=meta), tmp_path / 'backbone.pth')
    load_file(target, tmp_path / 'backbone.pth')
    for name, resize in KINDS[kind][1].items():
        expected = resize(source.get_parameter(name), target.grid_size, source.grid_size)
        torch.testing.assert_close(target.get_parameter(name), expected)


def test_torch_alone_knows_the_grid_too():
    source, target = _build('ViT', (32, 64)), _build('ViT', (64, 32))
    buffer = io.BytesIO()
    torch.save(source.state_dict(), buffer)
    buffer.seek(0)
    target.load_state_dict(torch.load(buffer, weights_only=True))
    torch.testing.assert_close(target.pos_embed, resample_abs_pos_embed(source.pos_embed, [16, 8], [8, 16]))


def test_a_grid_that_nothing_tells_is_square_or_refused(tmp_path: Path):
    source, target = _build('ViT', (32, 32)), _build('ViT', (32, 64))
    torch.save(dict(source.state_dict()), tmp_path / 'bare.pth')
    load_file(target, tmp_path / 'bare.pth')
    torch.testing.assert_close(target.pos_embed, resample_abs_pos_embed(source.pos_embed, [8, 16], [8, 8]))
    torch.save(dict(_build('ViT', (16, 32)).state_dict()), tmp_path / 'bare.pth')
    with pytest.raises((UserError, ValueError), match='the grid of 32 positions is not recorded and is not square'):
        load_file(target, tmp_path / 'bare.pth')


def test_a_class_of_a_plugin_that_cannot_be_built_without_values():
    @BACKBONES.register_module()
    class ReadsValues(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.rates = [rate.item() for rate in torch.linspace(0, 0.1, 2)]

    table = torch.randn(1, 5, 4)
    checkpoint = dict(state_dict={'pos_embed': table}, meta=dict(backbone=dict(type='ReadsValues')))
    try:
        assert torch.equal(get_state_dict(checkpoint)['pos_embed'], table)
    finally:
        del BACKBONES.members['ReadsValues'], MODELS.module_dict['ReadsValues']

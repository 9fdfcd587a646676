"""The decoder of iTPN: what it makes of levels and of hidden units."""

from __future__ import annotations

import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.layers.patches import restore_patches
from mmssl.models.necks.itpn_decoder import ITPNDecoder, LevelEmbedding

PYRAMID = dict(type='mmssl.ITPNPyramid', in_channels=(8, 16, 32), out_channels=12)
KEEP = torch.tensor([[0, 4], [1, 5]])
STAGES = ((2, 2, 4, 4, 8), (2, 2, 2, 2, 16), (2, 2, 32))


def small() -> ITPNDecoder:
    return ITPNDecoder(PYRAMID, out_channels=12, grid_size=(2, 3), embed_dim=32, depth=1, num_heads=2).double()


def stages():
    return tuple(torch.randn(*shape, dtype=torch.float64) for shape in STAGES)


def test_every_unit_is_predicted():
    assert small()(stages(), KEEP).shape == (2, 6, 12)


def test_the_positions_of_a_level_stand_one_after_the_other():
    embedding = LevelEmbedding(12, 32)
    levels = [torch.zeros(1, 1, side, side, 12) for side in (4, 2, 1)]
    before = embedding(tuple(levels))
    levels[0][0, 0, 1, 2] = torch.randn(12)  # position 6 of 16, each 2 wide
    assert (embedding(tuple(levels)) != before)[0, 0].nonzero().flatten().tolist() == [12, 13]
    levels[1][0, 0, 1, 0] = torch.randn(12)  # position 2 of 4, each 8 wide
    changed = (embedding(tuple(levels)) != before)[0, 0].nonzero().flatten().tolist()
    assert changed == [12, 13, *range(16, 24)]


def test_mask_tokens_join_every_level():
    decoder, units = small(), stages()
    tokens = []
    decoder.decoder.blocks.register_forward_pre_hook(lambda module, inputs: tokens.append(inputs[0]))
    decoder(units, KEEP)
    token, levels = decoder.decoder.mask_token, decoder.pyramid(units)
    streams = [
        restore_patches(embed(level).flatten(2), KEEP, token, 6) for embed, level in zip(decoder.embed.levels, levels)
    ]
    assert_close(tokens[0], sum(streams) + decoder.decoder.pos_embed)


def test_initial_values():
    decoder = ITPNDecoder(PYRAMID)
    for name, module in decoder.named_modules():
        if isinstance(module, nn.Linear):
            assert module.weight.abs().max() <= 2.0 and 0.015 < module.weight.std() < 0.025, name
            assert module.bias is None or not module.bias.any(), name
    assert not decoder.decoder.pos_embed.requires_grad and decoder.decoder.pos_embed.shape == (1, 196, 512)


def test_parameters_of_the_base_model():
    with torch.device('meta'):
        decoder = ITPNDecoder(dict(type='mmssl.ITPNPyramid')).decoder
        embedding = LevelEmbedding(256, 512)
    names = ('blocks', 'norm', 'predict')
    parts = {name: sum(p.numel() for p in decoder.get_submodule(name).parameters()) for name in names}
    assert parts == dict(blocks=25_219_072, norm=1_024, predict=393_984)
    assert sum(p.numel() for p in embedding.parameters()) == 174_240


def test_a_level_alone_does_not_depend_on_how_others_differ_between_units():
    decoder = small()
    levels = [torch.randn(2, 2, side, side, 12, dtype=torch.float64) for side in (4, 2, 1)]
    decoder.pyramid = nn.Identity()
    before = decoder.decode_levels(levels, KEEP)
    for number, name in enumerate(('P4', 'P8', 'P16')):
        exchanged = [level.flip(1) if number == other else level for other, level in enumerate(levels)]
        after = decoder.decode_levels(exchanged, KEEP)
        changed = {of for of in before if not torch.allclose(after[of], before[of])}
        assert changed == {name, 'all levels'}

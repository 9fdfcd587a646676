"""The decoder of MAE: shapes, order, parameters."""

from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.layers.patches import select_patches
from mmssl.models.necks.mae_decoder import MAEDecoder


def small(**options):
    return MAEDecoder(24, out_channels=12, grid_size=(2, 3), embed_dim=16, depth=1, num_heads=2, **options)


def test_every_patch_is_predicted():
    keep = torch.tensor([[0, 4], [1, 5]])
    assert small()(torch.randn(2, 3, 24), keep).shape == (2, 6, 12)
    assert small(num_prefix_tokens=0)(torch.randn(2, 2, 24), keep).shape == (2, 6, 12)


def test_the_order_of_the_visible_patches_does_not_matter():
    decoder, latent = small().double(), torch.randn(1, 4, 24, dtype=torch.float64)
    keep = torch.tensor([[5, 0, 2]])
    order = torch.tensor([1, 2, 0])
    shuffled = torch.cat([latent[:, :1], latent[:, 1:][:, order]], dim=1)
    assert_close(decoder(shuffled, keep[:, order]), decoder(latent, keep))


def test_hidden_patches_differ_by_their_positions_alone():
    decoder, keep = small(), torch.tensor([[0, 1]])
    prediction = decoder(torch.randn(1, 3, 24), keep)
    assert not torch.equal(prediction[0, 2], prediction[0, 5])
    torch.nn.init.zeros_(decoder.pos_embed)
    prediction = decoder(torch.randn(1, 3, 24), keep)
    hidden = select_patches(prediction, torch.tensor([[2, 3, 4, 5]]))[0]
    assert_close(hidden, hidden[:1].expand_as(hidden))


def test_initial_values():
    decoder = MAEDecoder(768)
    assert decoder.pos_embed.shape == (1, 197, 512) and not decoder.pos_embed.requires_grad
    assert 0.015 < decoder.mask_token.std() < 0.025
    bound = (6 / (768 + 512)) ** 0.5
    assert 0.99 * bound < decoder.embed.weight.abs().max() <= bound and not decoder.embed.bias.any()

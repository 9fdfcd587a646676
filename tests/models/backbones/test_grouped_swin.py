"""Swin on visible patches: it equals Swin on whole images, and the grouping changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mmssl.engine.compilation import checkpoint_blocks, compile_blocks
from mmssl.models.backbones import grouped_swin
from mmssl.models.backbones.grouped_swin import GroupedSwin
from mmssl.models.layers.window_groups import window_groups

OPTIONS = dict(img_size=64, patch_size=2, window_size=4, embed_dim=12, depths=(2, 2, 2), num_heads=(1, 2, 3))


@pytest.fixture(scope='module')
def swin():
    torch.manual_seed(0)
    swin = GroupedSwin('swin_tiny_patch4_window7_224', **OPTIONS).double().eval()
    for name, parameter in swin.named_parameters():
        if 'bias' in name:
            torch.nn.init.normal_(parameter, std=0.5)
    return swin


@pytest.fixture(scope='module')
def images():
    return torch.randn(2, 3, 64, 64, dtype=torch.float64)


def test_all_units_visible_give_the_map_of_the_whole_image(swin, images):
    with torch.no_grad():
        tokens, (whole,) = swin(images, keep=range(64)), swin(images)
    assert_close(tokens, whole.flatten(2).transpose(1, 2), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize('size', [16, 1024])
def test_the_size_of_groups_changes_nothing(swin, images, size, monkeypatch):
    keep = [1, 2, 10, 17, 18, 19, 30, 44, 45, 60, 61, 63]
    with torch.no_grad():
        tokens = swin(images, keep=keep)
        monkeypatch.setattr(grouped_swin, 'window_groups', lambda *args: window_groups(*args, size=size))
        again = swin(images, keep=keep)
    assert tokens.shape == (2, 12, 48)
    assert_close(again, tokens, rtol=1e-10, atol=1e-10)


def test_hidden_pixels_do_not_reach_the_network(swin, images):
    keep = [0, 9, 27, 62]
    hidden = torch.ones(64, dtype=torch.bool)
    hidden[keep] = False
    pixels = hidden.view(8, 8).repeat_interleave(8, 0).repeat_interleave(8, 1)
    with torch.no_grad():
        assert_close(swin(torch.where(pixels, 7.0, images), keep=keep), swin(images, keep=keep))


def test_every_token_has_one_place_and_sees_its_window_alone():
    places = np.stack(np.nonzero(np.random.default_rng(0).random((12, 12)) < 0.6), axis=1)
    groups = window_groups(places, window=4, shift=2, size=16)
    assert torch.equal(groups.tokens.flatten()[groups.places], torch.arange(len(places)))
    row, place = groups.places // 16, groups.places % 16
    sees = groups.allowed[row, 0, place][:, place] & (row[:, None] == row[None])  # (K, K)
    cells = torch.from_numpy((places + 2) // 4)
    assert sees.equal((cells[:, None] == cells[None]).all(dim=-1))


def test_checkpointed_and_compiled_blocks_run_on_visible_patches(images):
    keep = [0, 9, 27, 62]
    torch.manual_seed(0)
    plain = GroupedSwin('swin_tiny_patch4_window7_224', **OPTIONS).double()
    expected = plain(images, keep=keep)
    expected.sum().backward()
    gradient = plain.patch_embed.proj.weight.grad.clone()
    plain.zero_grad()
    calls = []
    plain.model.layers[0].blocks[0].norm1.register_forward_hook(lambda *args: calls.append(1))
    assert checkpoint_blocks(plain) == 6
    plain(images, keep=keep).sum().backward()
    assert len(calls) == 2  # once more in the backward pass
    assert_close(plain.patch_embed.proj.weight.grad, gradient)
    assert compile_blocks(plain, backend='eager') == 6
    assert_close(plain(images, keep=keep), expected)


def test_initial_weights_are_xavier_uniform(swin):
    block = swin.model.layers[2].blocks[1]
    for weight in (block.attn.qkv.weight, block.mlp.fc2.weight, swin.patch_embed.proj.weight.flatten(1)):
        bound = (6 / sum(weight.shape)) ** 0.5
        assert 0.9 * bound < weight.abs().max() <= bound


def test_another_network_is_refused():
    with pytest.raises(ValueError, match='needs a Swin of timm'):
        GroupedSwin('vit_tiny_patch16_224')

"""Windows of HiViT's last stage: what passes between them, and what their padding does."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.backbones.hivit import HiViT
from mmssl.models.backbones.windowed_hivit import WindowedHiViT
from mmssl.models.layers.hivit_blocks import Places

OPTIONS = dict(arch=dict(embed_dim=32, depths=(1, 1, 2), num_heads=2), img_size=(32, 48))


def windowed(**options) -> WindowedHiViT:
    return WindowedHiViT(**OPTIONS | options).eval()


def test_windows_as_large_as_the_image_are_attention_to_everything():
    everywhere, windows = HiViT(**OPTIONS).eval(), windowed(window_size=3)
    windows.load_state_dict(everywhere.state_dict())
    images = torch.randn(2, 3, 48, 48)
    assert_close(windows(images), everywhere(images))
    images = torch.randn(2, 3, 48, 64)
    assert not torch.allclose(windows(images)[2], everywhere(images)[2], atol=1e-4)


@pytest.mark.parametrize(('indices', 'reaches'), [((), False), ((1,), True)])
def test_global_blocks_pass_on_what_windows_do_not(indices, reaches):
    backbone = windowed(window_size=2, global_indices=indices)
    images = torch.randn(1, 3, 64, 64)
    changed = images.clone()
    changed[..., :32] += 1  # two units wide, as windows are
    before, after = backbone(images), backbone(changed)
    assert torch.equal(before[0][..., 8:], after[0][..., 8:])
    assert torch.allclose(before[2][..., 2:], after[2][..., 2:], atol=1e-6) != reaches
    assert not torch.isclose(before[2][..., :2], after[2][..., :2]).all()


def test_padding_of_windows_takes_part_as_keys_of_the_bias_alone():
    backbone, images = windowed(window_size=2), torch.randn(1, 3, 32, 16)  # two units and two of padding
    attention = backbone.blocks[-1].attn
    nn.init.normal_(attention.qkv.bias)
    x = torch.randn(1, 2, 32)
    padded = torch.stack([x[:, 0], torch.zeros(1, 32), x[:, 1], torch.zeros(1, 32)], dim=1)
    attention.window_size, places = 2, Places((2, 1), None, None)
    found = attention(x, places)
    attention.window_size = 0
    assert_close(found, attention(padded, places)[:, ::2])
    assert backbone(images)[2].shape == (1, 32, 2, 1)


@pytest.mark.parametrize(
    'wrong',
    [dict(window_size=0), dict(output='mean'), dict(position=dict(bias='table')), dict(global_indices=(2,))],
)
def test_wrong_arguments_are_refused(wrong):
    with pytest.raises(ValueError, match='window_size|global_indices'):
        windowed(**wrong)

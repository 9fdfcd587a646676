"""ConvViT: nothing hidden reaches what is visible, maps for detectors, and what a checkpoint of pre-training fills."""

from __future__ import annotations

import pytest
import torch

from mmssl.models.backbones.conv_vit import ConvViT
from mmssl.models.backbones.windowed_conv_vit import WindowedConvViT

SMALL = dict(arch=dict(dims=(8, 12, 24), depths=(1, 2, 3), num_heads=2), img_size=64)
IMAGES = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_hidden_pixels_reach_no_visible_token():
    backbone = ConvViT(**SMALL, multi_scale=True, output='tokens').eval()
    keep = torch.tensor([[0, 5, 6, 15], [1, 2, 9, 12]])
    hidden = torch.ones(2, 16, dtype=torch.bool).scatter(1, keep, False)
    pixels = hidden.view(2, 1, 4, 4).repeat_interleave(16, 2).repeat_interleave(16, 3)
    changed = torch.where(pixels, torch.randn_like(IMAGES), IMAGES)
    assert torch.equal(backbone(IMAGES, keep=keep), backbone(changed, keep=keep))
    assert not torch.equal(backbone(IMAGES, keep=keep), backbone(torch.where(pixels, IMAGES, IMAGES + 1), keep=keep))


def test_everything_visible_is_the_whole_image_without_a_mask():
    backbone = ConvViT(**SMALL, multi_scale=True, output='tokens').eval()
    everything = torch.arange(16).expand(2, -1)
    torch.testing.assert_close(backbone(IMAGES, keep=everything), backbone(IMAGES))
    mean = ConvViT(**SMALL, multi_scale=True).eval()
    mean.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(mean(IMAGES), backbone(IMAGES).mean(dim=1))


@pytest.mark.parametrize('kind', [ConvViT, WindowedConvViT])
def test_maps_of_any_size_give_every_parameter_a_gradient(kind):
    windows = dict(window_size=2, global_indices=(1,), relative_size=4) if kind is WindowedConvViT else {}
    backbone = kind(**SMALL, **windows, output='maps', out_indices=(0, 1, 2, 3), position='learned')
    maps = backbone(torch.randn(1, 3, 64, 90))
    assert [tuple(m.shape) for m in maps] == [(1, 8, 16, 24), (1, 12, 8, 12), (1, 24, 4, 6), (1, 24, 2, 3)]
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_windows_as_large_as_the_image_are_global_attention():
    plain, windowed = ConvViT(**SMALL, output='maps').eval(), WindowedConvViT(**SMALL, window_size=4).eval()
    windowed.load_state_dict(plain.state_dict(), strict=True)
    torch.testing.assert_close(windowed(IMAGES)[0], plain(IMAGES)[0])
    smaller = WindowedConvViT(**SMALL, window_size=2).eval()
    smaller.load_state_dict(plain.state_dict(), strict=True)
    assert not torch.allclose(smaller(IMAGES)[0], plain(IMAGES)[0])


def test_a_checkpoint_of_pre_training_fills_a_backbone_of_another_size():
    pretrained = ConvViT(**SMALL, multi_scale=True).state_dict()
    backbone = ConvViT(**SMALL | dict(img_size=96), final_norm=False, position='learned')
    backbone.load_state_dict(pretrained, strict=True)
    assert backbone.pos_embed.shape == (1, 36, 24) and backbone.pos_embed.requires_grad
    assert torch.equal(backbone.stages[1][1].attn.weight, pretrained['stages.1.1.attn.weight'])


def test_rates_of_fine_tuning_count_the_blocks_of_stage_3():
    distances = ConvViT(**SMALL, position='learned').layers_to_output()
    assert {distances[name] for name in distances if not name.startswith(('blocks', 'norm'))} == {4}
    assert distances['blocks.0.norm1.weight'] == 3 and distances['norm.weight'] == 0


@pytest.mark.parametrize(
    ('options', 'message'),
    [(dict(output='cls'), 'output must be'), (dict(out_indices=(4,)), 'from 0 to 3'),
     (dict(arch=dict(dims=(8, 8, 8))), 'arch must hold')],
)  # fmt: skip
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        ConvViT(**options)

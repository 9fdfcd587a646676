"""Blocks of a detector's transformer: what a window sees, what global blocks add, what a checkpoint fills."""

from __future__ import annotations

import pytest
import torch

from mmssl.engine.compilation import checkpoint_blocks
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.models.backbones.windowed_vit import WindowedViT
from tests.support.checkpoints import load_file

SMALL = dict(embed_dim=48, depth=3, num_heads=3)


def windowed(**kwargs):
    options = dict(arch=SMALL, img_size=32, patch_size=8, window_size=3, global_indices=(-1,))
    return WindowedViT(**options | kwargs)


def test_windows_load_a_pre_trained_checkpoint_whole(tmp_path):
    torch.save(dict(state_dict=VisionTransformer(SMALL, img_size=64, patch_size=8).state_dict()), tmp_path / 'full.pth')
    backbone = windowed(relative_size=4)
    load_file(backbone, tmp_path / 'full.pth', min_match=1.0)
    assert not any(name.startswith('cls_token') for name in backbone.state_dict())
    assert not backbone.blocks[0].attn.rel_pos_h.any()


def test_windows_as_large_as_the_image_are_attention_without_a_class_token():
    images = torch.randn(2, 3, 32, 32)
    everywhere = windowed(global_indices=(0, 1, 2)).eval()
    for size in (4, 9):
        backbone = windowed(window_size=size, global_indices=()).eval()
        backbone.load_state_dict(everywhere.state_dict())
        assert torch.allclose(backbone(images)[0], everywhere(images)[0], atol=1e-5) == (size == 4)  # 9 has padding


def test_global_blocks_pass_on_what_windows_do_not():
    images, changed = torch.randn(2, 1, 3, 48, 48)
    changed[:, :, :, 24:] = images[:, :, :, 24:]  # the left half differs; windows are 3 patches of 8 pixels wide
    for indices, reaches in (((), False), ((1,), True)):
        backbone = windowed(global_indices=indices).eval()
        same = torch.allclose(backbone(images)[0][..., 3:], backbone(changed)[0][..., 3:], atol=1e-6)
        assert same != reaches


@pytest.mark.parametrize('size', [(32, 32), (40, 24), (29, 35)])
def test_maps_of_windows_at_any_size_give_every_parameter_a_gradient(size):
    backbone = windowed(out_indices=(1, -1), relative_size=4)
    maps = backbone(torch.randn(2, 3, *size))
    assert [tuple(m.shape) for m in maps] == [(2, 48, -(-size[0] // 8), -(-size[1] // 8))] * 2
    sum(m.square().sum() for m in maps).backward()
    assert all(p.grad is not None for p in backbone.parameters())


def test_blocks_with_windows_can_run_again_in_the_backward_pass():
    plain, cheap = windowed(relative_size=4), windowed(relative_size=4)
    cheap.load_state_dict(plain.state_dict())
    assert checkpoint_blocks(cheap) == 3
    images, gradients = torch.randn(2, 3, 32, 32), []
    for backbone in (plain, cheap):
        backbone(images)[0].square().sum().backward()
        gradients.append([p.grad for p in backbone.parameters()])
    torch.testing.assert_close(gradients[1], gradients[0])


def test_layers_are_numbered_the_same_with_windows():
    distances = windowed(relative_size=4).layers_to_output()
    assert distances['pos_embed'] == distances['patch_embed.proj.weight'] == 4
    assert [distances[f'blocks.{index}.attn.rel_pos_h'] for index in range(3)] == [3, 2, 1]
    assert distances['norm.weight'] == 0


@pytest.mark.parametrize(
    'wrong', [dict(output='cls'), dict(window_size=0), dict(relative_size=-1), dict(global_indices=(3,))]
)
def test_wrong_arguments_are_named(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        windowed(**wrong)

"""Colours of patches: components in closed form, foreground, and features of every kind of backbone."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.backbones.grouped_swin import GroupedSwin
from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.utils.errors import UserError
from mmssl.visualization.attention import attention_maps
from mmssl.visualization.patch_colors import (
    foreground,
    patch_color_figure,
    patch_colors,
    patch_features,
    principal_components,
)

ARCH = dict(embed_dim=24, depth=2, num_heads=3, registers=3)


def vit(**options) -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(ARCH, img_size=16, patch_size=4, **options).eval()


@pytest.mark.parametrize('output', ['cls', 'tokens', 'maps'])
def test_the_patches_of_a_transformer_without_class_token_and_registers(output):
    images = torch.randn(2, 3, 16, 24)
    features = patch_features(vit(output=output), images)
    with torch.no_grad():
        assert_close(features.flatten(1, 2), vit(output='tokens')(images)[:, 4:], rtol=1e-4, atol=1e-5)
    assert features.shape == (2, 4, 6, 24)


def test_attention_goes_from_the_class_token_to_the_patches_behind_the_registers():
    maps = attention_maps(vit(), torch.randn(2, 3, 16, 24))
    assert {name: tuple(x.shape) for name, x in maps.items()} == dict.fromkeys(
        ('head 1', 'head 2', 'head 3', 'rollout'), (2, 4, 6)
    )


def test_the_last_map_of_a_convolutional_network_and_timms_transformer():
    assert patch_features(ResNet(18, stem='small', width=0.125), torch.randn(2, 3, 32, 32)).shape == (2, 4, 4, 64)
    timm_vit = TimmBackbone('vit_tiny_patch16_224', pretrained=False, img_size=32, embed_dim=24, depth=1, num_heads=3)
    assert patch_features(timm_vit, torch.randn(2, 3, 32, 32)).shape == (2, 2, 2, 24)


def test_the_last_map_of_a_swin():
    options = dict(img_size=32, patch_size=2, window_size=4, embed_dim=12, depths=(1, 1), num_heads=(1, 2))
    swin = GroupedSwin('swin_tiny_patch4_window7_224', **options).eval()
    images = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert_close(patch_features(swin, images), swin(images)[-1].permute(0, 2, 3, 1), rtol=1e-4, atol=1e-5)


def test_components_of_a_line_and_of_its_mirror_image():
    rows = torch.tensor([0.0, 1.0, 2.0, 9.0], dtype=torch.float64)[:, None] * torch.tensor([0.6, 0.8])
    expected = torch.tensor([[-3.0], [-2.0], [-1.0], [6.0]], dtype=torch.float64)
    assert_close(principal_components(rows, 1), expected)
    assert_close(principal_components(-rows, 1), expected)


def squares() -> tuple[torch.Tensor, torch.Tensor]:
    """Features of two images with an object in the middle that has two parts, and the object."""
    torch.manual_seed(0)
    features = 0.05 * torch.randn(2, 6, 6, 8)
    inside = torch.zeros(2, 6, 6, dtype=torch.bool)
    inside[:, 2:4, 2:5] = True
    features[inside] += 5 * torch.eye(8)[0]
    features[:, 2, 2:5] += 2 * torch.eye(8)[1]
    return features, inside


def test_the_object_in_the_middle_is_the_foreground():
    features, inside = squares()
    assert torch.equal(foreground(features), inside)
    assert torch.equal(foreground(-features), inside)


def test_parts_have_colours_that_images_share():
    features, inside = squares()
    colours = patch_colors(features, inside)
    assert not colours.permute(0, 2, 3, 1)[~inside].any()
    upper, lower = colours[:, 0, 2, 2:5], colours[:, 0, 3, 2:5]
    assert (upper - lower).abs().min() > 0.8 and (upper[0] - upper[1]).abs().max() < 0.2
    assert colours.min() >= 0 and colours.max() <= 1
    with pytest.raises(UserError, match='too few patches'):
        patch_colors(features[:, :1, :1])


def test_a_figure_of_two_backbones():
    features, _ = squares()
    images = torch.randint(0, 256, (2, 3, 12, 12), dtype=torch.uint8)
    figure = patch_color_figure(images, {'a': features, 'b': features}, whole=True)
    assert len([axes for axes in figure.axes if axes.images]) == 6

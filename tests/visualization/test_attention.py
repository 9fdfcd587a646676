"""Attention maps: weights as timm's own unfused path has them, rollout and class activation in closed form."""

from __future__ import annotations

import pytest
import torch
from timm.models.vision_transformer import Attention
from torch import Tensor, nn

from mmssl.models.backbones.resnet import ResNet
from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.backbones.vision_transformer import VisionTransformer
from mmssl.utils.errors import UserError
from mmssl.visualization.attention import (
    attention_figure,
    attention_maps,
    attention_rollout,
    attention_weights,
    channel_mean,
    overlay,
    similarity_cam,
    split_at_last_map,
)


def small_vit(**changes) -> VisionTransformer:
    torch.manual_seed(0)
    arch = dict(embed_dim=24, depth=3, num_heads=3)
    return VisionTransformer(**dict(dict(arch=arch, img_size=16, patch_size=4), **changes)).eval()


def small_resnet() -> ResNet:
    torch.manual_seed(0)
    return ResNet(18, stem='small', width=0.125, out_indices=(1, 2)).eval()


def explicit_weights(backbone: nn.Module, images: Tensor) -> list[Tensor]:
    """What goes into the dropout of the attention weights where timm computes them without the fused operation."""
    found: list[Tensor] = []
    for layer in backbone.modules():
        if isinstance(layer, Attention):
            layer.fused_attn = False
            layer.attn_drop.register_forward_hook(lambda module, inputs, output: found.append(inputs[0]))
    with torch.no_grad():
        backbone(images)
    return found


def normalised_attention() -> nn.Module:
    return nn.Sequential(Attention(24, 3, qk_norm=True, norm_layer=nn.LayerNorm))


@pytest.mark.parametrize('make', [small_vit, normalised_attention])
def test_weights_are_those_of_the_unfused_computation(make) -> None:
    backbone = make()
    for layer in backbone.modules():
        if isinstance(layer, Attention):
            nn.init.normal_(layer.qkv.weight, std=0.4)  # far from uniform attention
            layer.fused_attn = True
    inputs = torch.randn(2, 3, 16, 16) if isinstance(backbone, VisionTransformer) else torch.randn(2, 17, 24)
    weights = attention_weights(backbone, inputs)
    assert not any(module._forward_hooks for module in backbone.modules())
    expected = explicit_weights(backbone, inputs)
    assert len(weights) == len(expected) > 0 and weights[0].shape == (2, 3, 17, 17)
    for ours, theirs in zip(weights, expected):
        torch.testing.assert_close(ours, theirs)
    assert weights[0].amax() > 0.3


def test_rollout_of_uniform_attention() -> None:
    """B = (J / T + I) / 2 has powers I / 2^n + (1 - 1 / 2^n) J / T."""
    uniform = torch.full((1, 2, 4, 4), 0.25)
    expected = torch.eye(4) / 8 + (1 - 1 / 8) * 0.25
    torch.testing.assert_close(attention_rollout([uniform] * 3)[0], expected)


def test_rollout_multiplies_later_blocks_from_the_left_and_keeps_rows_sums() -> None:
    first, second = torch.randn(2, 1, 3, 5, 5).softmax(-1)
    rolled = attention_rollout([first, second])
    augmented = [(weight.mean(1) + torch.eye(5)) / 2 for weight in (first, second)]
    torch.testing.assert_close(rolled, augmented[1] @ augmented[0])
    torch.testing.assert_close(rolled.sum(-1), torch.ones(1, 5))


def test_channel_mean() -> None:
    assert channel_mean(torch.tensor([[1.0, -3.0], [3.0, 1.0]]).view(1, 2, 1, 2)).tolist() == [[[2.0, 2.0]]]


def test_cam_of_a_mean_over_positions_is_the_component_along_the_reference() -> None:
    features, reference = torch.randn(2, 5, 3, 4), torch.randn(1, 5)
    cam = similarity_cam(features, lambda maps: maps.mean((2, 3)), 7 * reference)
    expected = torch.einsum('ncij,c->nij', features, reference[0] / reference.norm()).clamp(min=0) / 12
    torch.testing.assert_close(cam, expected)
    assert cam.count_nonzero() not in (0, cam.numel())


def test_cam_weights_channels_by_their_mean_gradient() -> None:
    """f = (sum_p p A_0p, A_1's maximum): the first channel weighs mean(p), the second one position in four."""
    features = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 8.0], [0.0, 0.0]]]])
    ramp = torch.arange(4.0).view(2, 2)
    cam = similarity_cam(
        features,
        lambda maps: torch.stack([(ramp * maps[:, 0]).sum((1, 2)), maps[:, 1].amax((1, 2))], 1),
        torch.tensor([[3.0, 4.0]]),
    )
    torch.testing.assert_close(cam, (0.6 * 1.5 * features[:, 0] + 0.8 * 0.25 * features[:, 1]))


def test_maps_of_a_convolutional_network_come_from_its_last_stage_and_leave_it_as_it_was() -> None:
    backbone, images = small_resnet().train(), torch.randn(2, 3, 32, 32)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    maps = attention_maps(backbone, images)
    assert backbone.training and all(module.training for module in backbone.modules())
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert all(parameter.grad is None for parameter in backbone.parameters())
    with torch.no_grad():
        last = backbone.eval()(images)[-1]
    assert list(maps) == ['response', 'similarity']
    torch.testing.assert_close(maps['response'], last.mean(1))
    vector = last.mean((2, 3))
    unit = vector / vector.norm(dim=1, keepdim=True)
    torch.testing.assert_close(maps['similarity'], torch.einsum('ncij,nc->nij', last, unit) / 64)


def test_reference_of_similarity() -> None:
    backbone, images = small_resnet(), torch.randn(2, 3, 16, 16)
    maps = attention_maps(backbone, images, ['similarity'], reference=images[:1])
    own = attention_maps(backbone, images)['similarity']
    assert list(maps) == ['similarity']
    torch.testing.assert_close(maps['similarity'][0], own[0])
    assert not torch.allclose(maps['similarity'][1], own[1])


@pytest.mark.parametrize('name', ['resnet10t', 'convnext_atto'])
def test_pooled_timm_networks_are_cut_before_the_pooling(name: str) -> None:
    backbone = TimmBackbone(name).eval()
    images = torch.randn(2, 3, 64, 64)
    last_map, embed = split_at_last_map(backbone)
    with torch.no_grad():
        assert last_map(images).shape == (2, backbone.feature_dim, 2, 2)
        torch.testing.assert_close(embed(last_map(images)), backbone(images))


def test_maps_of_a_vision_transformer() -> None:
    backbone, images = small_vit(), torch.randn(2, 3, 16, 24)
    maps = attention_maps(backbone, images)
    assert list(maps) == ['head 1', 'head 2', 'head 3', 'rollout']
    weights = attention_weights(backbone, images)
    torch.testing.assert_close(maps['head 2'], weights[-1][:, 1, 0, 1:].view(2, 4, 6))
    torch.testing.assert_close(maps['rollout'], attention_rollout(weights)[:, 0, 1:].view(2, 4, 6))


def test_registers_of_timm_are_no_patches() -> None:
    backbone = TimmBackbone('vit_tiny_patch16_224', img_size=32, depth=1, reg_tokens=4).eval()
    maps = attention_maps(backbone, torch.randn(1, 3, 32, 32), ['heads'])
    assert list(maps) == ['head 1', 'head 2', 'head 3'] and maps['head 1'].shape == (1, 2, 2)


def test_convolutional_stem() -> None:
    maps = attention_maps(small_vit(img_size=32, patch_size=16, conv_stem=True), torch.randn(1, 3, 32, 48), ['rollout'])
    assert maps['rollout'].shape == (1, 2, 3)


class Vectors(nn.Module):
    """A backbone without maps and without attention."""

    def forward(self, images: Tensor) -> Tensor:
        return images.mean((2, 3))


@pytest.mark.parametrize(
    ('make', 'size', 'options', 'message'),
    [
        (small_resnet, 16, dict(kinds=['rollout']), 'ResNet is a network without .* and similarity, got rollout'),
        (small_vit, 16, dict(kinds=['response']), 'VisionTransformer is a vision transformer: .* heads and rollout'),
        (small_vit, 16, dict(reference=torch.zeros(1, 3, 16, 16)), "only the kind 'similarity'"),
        (small_resnet, 16, dict(kinds=['response'], reference=torch.zeros(1, 3, 16, 16)), "only the kind 'similarity'"),
        (small_vit, 18, {}, r'multiples of the patches of \(4, 4\) pixels, got \(18, 18\)'),
        (Vectors, 16, {}, r'Vectors returns no map \(N, C, h, w\) but \(1, 3\)'),
        (
            lambda: TimmBackbone('vit_tiny_patch16_224', img_size=32, depth=1),
            48,
            {},
            r'only takes images of \(32, 32\) pixels',
        ),
        (
            lambda: TimmBackbone('vit_tiny_patch16_224', img_size=32, depth=1, class_token=False, global_pool='avg'),
            32,
            {},
            'no class token',
        ),
    ],
)
def test_what_a_backbone_does_not_have_is_refused(make, size: int, options: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        attention_maps(make(), torch.randn(1, 3, size, size), **options)


def test_overlay_runs_from_blue_to_red_over_a_grey_image() -> None:
    images = torch.tensor([0, 120, 255], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 4, 8)
    values = torch.tensor([[[5.0, 9.0]]])
    red, _, blue = overlay(images, values, opacity=1.0)[0]
    assert (blue > red)[:, 0].all() and (red > blue)[:, -1].all()
    torch.testing.assert_close(overlay(images, values, opacity=0.0), torch.full((1, 3, 4, 8), 125 / 255))
    torch.testing.assert_close(overlay(images, values, opacity=1.0), overlay(images, 3 * values - 10, opacity=1.0))


def test_a_map_without_contrast_is_shown_as_such() -> None:
    drawn = overlay(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), torch.full((1, 2, 2), 3.0))
    assert drawn.isfinite().all() and torch.equal(drawn, drawn[..., :1, :1].expand_as(drawn))


def test_figure_has_backbones_side_by_side_with_titles() -> None:
    values = torch.rand(2, 3, 3)
    maps = {'first': dict(response=values, similarity=values), 'second': dict(rollout=values)}
    figure = attention_figure(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), maps)
    cells = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title() for axes in cells[:4]] == ['image', 'first\nresponse', 'similarity', 'second\nrollout']
    assert len(cells) == 8

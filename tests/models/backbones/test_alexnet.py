from __future__ import annotations

import pytest
import torch

from mmssl.models.backbones.alexnet import AlexNet

FC = dict(width=12)


def test_sizes_of_the_published_networks():
    with torch.device('meta'):
        deepcluster = AlexNet(sobel=True, fc=dict(dropout=(0.5, 0.5), last_relu=False))
        frozen = sum(p.numel() for p in deepcluster.parameters() if not p.requires_grad)
        assert frozen == 24 and deepcluster.feature_dim == 4096
        top_layer = 4096 * 10_000 + 10_000
        assert sum(p.numel() for p in deepcluster.parameters()) + top_layer == 99_242_504
        maps = AlexNet(out_indices=range(5))(torch.zeros(1, 3, 224, 224))
    assert [tuple(m.shape[1:]) for m in maps] == [
        (96, 55, 55), (256, 27, 27), (384, 13, 13), (384, 13, 13), (256, 13, 13)
    ]  # fmt: skip


def test_the_last_relu_is_what_the_option_leaves_out():
    backbone = AlexNet((4, 8, 8, 12, 16), fc=dict(FC, last_relu=False), img_size=64).eval()
    rectified = AlexNet((4, 8, 8, 12, 16), fc=FC, img_size=64).eval()
    rectified.load_state_dict(backbone.state_dict())
    images = torch.randn(3, 3, 64, 64)
    vector = backbone(images)
    assert vector.shape == (3, 12) and (vector < 0).any()
    assert torch.equal(vector.relu(), rectified(images))


def test_maps_load_from_a_network_with_fully_connected_layers_but_not_the_other_way():
    whole = AlexNet((4, 8, 8, 12, 16), stem='small', fc=FC, img_size=32)
    maps = AlexNet((4, 8, 8, 12, 16), stem='small')
    maps.load_state_dict(whole.state_dict(), strict=True)
    with pytest.raises(RuntimeError, match='Missing key'):
        whole.load_state_dict(maps.state_dict(), strict=True)


def test_initial_values():
    weight = AlexNet().stages[1][1].conv.weight
    assert weight.std().item() == pytest.approx((2 / (25 * 256)) ** 0.5, rel=0.01)
    torch.manual_seed(0)
    own = AlexNet(init='torch').stages[1][1].conv
    assert own.weight.abs().max().item() == pytest.approx((96 * 25) ** -0.5, rel=0.01)  # uniform
    assert own.bias.abs().max() > 0


def test_images_of_another_size_than_the_fully_connected_layers_are_built_for():
    backbone = AlexNet((4, 8, 8, 12, 16), fc=FC, img_size=64)
    with pytest.raises(ValueError, match=r'need 16 features .* got a map \(16, 5, 5\): use images of img_size'):
        backbone(torch.zeros(1, 3, 96, 96))
    with pytest.raises(ValueError, match='img_size=32'):
        AlexNet(fc={}, img_size=32)
    for options in (dict(channels=(1, 2)), dict(stem='large'), dict(init='xavier')):
        with pytest.raises(ValueError, match=next(iter(options))):
            AlexNet(**options)


def test_sobel_sees_gradients_of_the_mean_of_the_channels():
    stem = AlexNet((4, 8, 8, 12, 16), sobel=True).stem
    ramp = torch.arange(5.0).expand(1, 3, 5, 5)
    horizontal, vertical = stem(ramp)[0, :, 2, 2]
    assert (horizontal, vertical) == (-8, 0)
    assert torch.equal(stem(ramp.mT)[0, 1, 2], torch.tensor([-6.0, -8, -8, -8, -6]))

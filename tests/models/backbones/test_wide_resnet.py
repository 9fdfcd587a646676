from __future__ import annotations

import pytest
import torch
from torch.nn.functional import avg_pool2d, leaky_relu

from mmssl.models.backbones.wide_resnet import SameConv2d, WideBlock, WideResNet


def count(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_sizes_of_the_published_networks():
    with torch.device('meta'):
        assert count(WideResNet(28, 10)) + 640 * 100 + 100 == 36_536_884
        assert count(WideResNet(28, 4)) + 256 * 100 + 100 == 5_872_180
        assert count(WideResNet(32, 10, variant='madry')) + 640 * 10 + 10 == 45_901_914
        maps = WideResNet(28, 10, out_indices=(0, 1, 2))(torch.zeros(1, 3, 32, 32))
        assert [tuple(m.shape[1:]) for m in maps] == [(160, 32, 32), (320, 16, 16), (640, 8, 8)]
        assert WideResNet(10, 1, strides=(2, 2, 2))(torch.zeros(1, 3, 64, 64))[0].shape == (1, 64, 8, 8)


def test_a_stage_of_zagoruykos_is_normed_and_its_shortcuts_see_activated_maps():
    first, last = WideResNet(10, 1, out_indices=(0, 2))(torch.randn(2, 3, 32, 32))
    assert (first >= 0).all() and (last >= 0).all()
    shortcut = WideResNet(10, 1).stages[1][0].shortcut
    assert shortcut.weight.shape == (32, 16, 1, 1) and shortcut.stride == (2, 2)


def test_madrys_shortcut_is_the_mean_of_raw_pixels_between_zero_channels():
    block = WideBlock(4, 8, stride=2, has_norm=True, is_madry=True).eval()
    torch.nn.init.zeros_(block.conv2.weight)
    x = torch.randn(2, 4, 6, 6)
    out = block(x)
    torch.testing.assert_close(out[:, 2:6], avg_pool2d(x, 2))
    assert not out[:, :2].any() and not out[:, 6:].any()
    torch.testing.assert_close(block.act1(x), leaky_relu(x / (1 + 1e-3) ** 0.5, 0.1))


def test_strided_convolutions_of_madrys_pad_at_the_end():
    convolution = SameConv2d(1, 1, 3, stride=2, bias=False)
    torch.nn.init.ones_(convolution.weight)
    counts = convolution(torch.ones(1, 1, 4, 4))[0, 0]
    assert torch.equal(counts, torch.tensor([[9.0, 6], [6, 4]]))


@pytest.mark.parametrize(
    ('argument', 'value'), [('depth', 30), ('depth', 32), ('strides', (1, 2)), ('variant', 'resnext')]
)
def test_wrong_arguments_are_named(argument, value):
    with pytest.raises(ValueError, match=argument):
        WideResNet(**{argument: value})


def test_images_that_the_strides_of_madrys_do_not_divide_are_an_error():
    network = WideResNet(8, 1, variant='madry')
    with pytest.raises(ValueError, match='a map of 17 x 16'):
        network(torch.zeros(1, 3, 34, 32))
    assert network(torch.zeros(1, 3, 36, 32))[-1].shape == (1, 64, 9, 8)

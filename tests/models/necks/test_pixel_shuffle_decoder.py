"""The linear decoder: sizes, order of pixels."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mmssl.models.necks.pixel_shuffle_decoder import PixelShuffleDecoder


@pytest.mark.parametrize(('channels', 'stride', 'side', 'count'), [(1024, 32, 6, 3_148_800), (768, 16, 14, 590_592)])
def test_sizes_of_the_specification(channels, stride, side, count):
    decoder = PixelShuffleDecoder(channels, stride)
    assert sum(p.numel() for p in decoder.parameters()) == count
    assert decoder((torch.zeros(2, channels, side, side),)).shape == (2, 3, side * stride, side * stride)


def test_a_channel_is_a_pixel_of_a_colour():
    stride = 4
    decoder = PixelShuffleDecoder(48, stride)
    nn.init.zeros_(decoder.layers[0].bias)
    decoder.layers[0].weight.data = torch.eye(48).view(48, 48, 1, 1)
    colour, row, column = 2, 1, 3
    features = torch.zeros(1, 48, 2, 2)
    features[0, colour * stride**2 + row * stride + column, 1, 0] = 1
    image = decoder((torch.zeros(1), features))
    assert image.sum() == 1 and image[0, colour, stride + row, column] == 1

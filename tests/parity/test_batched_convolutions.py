"""The convolutions that all comparisons use are torch's own, up to rounding."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import grad

from tests.support import batched_convolutions
from tests.support.batched_convolutions import _torch_conv2d


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize(
    ('kernel', 'options'),
    [
        ((3, 3), dict(padding=1)),
        ((1, 1), dict(stride=2)),
        ((3, 2), dict(stride=(2, 1), padding=(0, 1))),
        ((7, 7), dict(stride=2, padding=3)),
        ((2, 2), dict(stride=2)),
        ((3, 3), dict(padding='same')),
        ((3, 3), dict(padding=2, dilation=2)),
        ((3, 3), dict(padding=1, groups=2)),
    ],
)
def test_outputs_and_gradients(layout, bias, kernel, options):
    images = torch.randn(3, 4, 7, 6, dtype=torch.float64)
    weight = torch.randn(8, 4 // options.get('groups', 1), *kernel, dtype=torch.float64)
    inputs = [images.to(memory_format=layout), weight.to(memory_format=layout)]
    inputs = [x.requires_grad_() for x in (*inputs, *[torch.randn(8, dtype=torch.float64)] * bias)]
    found, expected = (function(*inputs, **options) for function in (torch.nn.functional.conv2d, _torch_conv2d))
    factor = torch.randn_like(expected)
    pairs = zip(*([outputs, *grad((outputs * factor).sum(), inputs)] for outputs in (found, expected)), strict=True)
    for ours, theirs in pairs:
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


def test_networks_use_them_for_small_maps_in_float64(monkeypatch):
    products = []
    monkeypatch.setattr(batched_convolutions, '_one_product', lambda images, *args: products.append(images) or images)
    layer = torch.nn.Conv2d(3, 3, 3, padding=1)
    layer(torch.zeros(1, 3, 7, 7))
    layer.double()(torch.zeros(1, 3, 20, 20, dtype=torch.float64))
    assert not products
    layer(torch.zeros(1, 3, 7, 7, dtype=torch.float64))
    assert len(products) == 1

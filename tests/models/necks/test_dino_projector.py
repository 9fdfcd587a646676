from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.necks.dino_projector import DINOProjector


def test_logits_are_cosines_when_the_gains_are_frozen():
    neck = DINOProjector(5, 7, 11, bottleneck_channels=4).double()
    x = torch.randn(3, 5, dtype=torch.float64)
    directions = neck.last_layer.get_parameter('parametrizations.weight.original1')
    expected = torch.cosine_similarity(neck.layers(x)[:, None], directions[None], dim=-1)
    assert_close(neck(x), expected)
    assert_close(neck.last_layer.weight.norm(dim=1), torch.ones(11, dtype=torch.float64))
    assert not neck.last_layer.get_parameter('parametrizations.weight.original0').requires_grad


def test_the_gain_scales_a_logit_and_trains_when_asked_to():
    neck = DINOProjector(5, 7, 11, freeze_gain=False)
    gain = neck.last_layer.get_parameter('parametrizations.weight.original0')
    x = torch.randn(3, 5)
    before = neck(x).detach()
    with torch.no_grad():
        gain[2] = -3.0
    assert_close(neck(x)[:, 2], -3 * before[:, 2])
    neck(x).sum().backward()
    assert gain.grad is not None


def test_layers_and_their_start():
    neck = DINOProjector(5, 7, 11, bottleneck_channels=4, norm=True)
    kinds = [nn.Linear, nn.BatchNorm1d, nn.GELU] * 2 + [nn.Linear]
    assert [type(layer) for layer in neck.layers] == kinds
    assert not any(layer.bias.any() for layer in neck.layers if isinstance(layer, nn.Linear))
    wide = DINOProjector(200, 300, 11)
    assert abs(wide.layers[2].weight.std().item() - 0.02) < 5e-4
    assert [tuple(layer.weight.shape) for layer in DINOProjector(5, 7, 11, num_layers=1).layers] == [(256, 5)]


def test_a_projector_has_a_layer():
    with pytest.raises(ValueError, match='num_layers must be at least 1, got 0'):
        DINOProjector(5, 7, 11, num_layers=0)

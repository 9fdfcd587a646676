"""Initialisations that several modules share."""

from __future__ import annotations

import math

import pytest
import torch

from mmssl.models.backbones.resnet import ResNet
from mmssl.models.layers.initialization import truncated_normal_


@pytest.mark.parametrize('cut', [1.0, 2.0])
def test_a_truncated_normal_distribution(cut: float) -> None:
    torch.manual_seed(0)
    values = truncated_normal_(torch.empty(200, 1000), std=0.5, bound=0.5 * cut).double()
    inside = math.erf(cut / 2**0.5)
    density = math.exp(-(cut**2) / 2) / (2 * math.pi) ** 0.5
    assert values.abs().max() <= 0.5 * cut
    assert values.mean().abs() < 5e-3
    assert values.var().item() == pytest.approx(0.25 * (1 - 2 * cut * density / inside), rel=0.02)
    middle = math.erf(0.5 * cut / 2**0.5) / inside  # share of values in the inner half of the interval
    assert (values.abs() < 0.25 * cut).double().mean().item() == pytest.approx(middle, abs=5e-3)


def test_a_tensor_without_memory_stays_as_it_is() -> None:
    assert truncated_normal_(torch.empty(3, device='meta'), 1.0, 1.0).is_meta


def test_only_what_lies_outside_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, normal = [], torch.Tensor.normal_
    monkeypatch.setattr(
        torch.Tensor, 'normal_', lambda x, *args, **kwargs: drawn.append(x.numel()) or normal(x, *args, **kwargs)
    )
    network = ResNet(18, width=0.25, conv_init='lecun')
    assert sum(drawn) < 1.1 * sum(parameter.numel() for parameter in network.parameters())

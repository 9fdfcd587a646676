"""The shared head of C4 detectors is the end of the backbone."""

from __future__ import annotations

import torch

from mmssl.models.backbones.resnet import ResNet
from mmssl.models.heads.last_stage_head import LastStageHead


def test_is_the_last_stage() -> None:
    network = ResNet(50, width=0.125, out_indices=(2, 3)).eval()
    head = LastStageHead(50, width=0.125).eval()
    head.layer4.load_state_dict(network.layer4.state_dict())
    features, expected = network(torch.randn(1, 3, 32, 32))
    assert torch.equal(head(features), expected)


def test_the_extra_norm_normalises_what_is_after_the_relu() -> None:
    head = LastStageHead(50, width=0.125, extra_norm=True)
    out = head(torch.randn(4, 128, 14, 14))
    assert out.shape == (4, 256, 7, 7)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(256), atol=1e-4, rtol=0)
    assert out.min() < 0

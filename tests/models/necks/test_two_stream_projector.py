from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.necks.two_stream_projector import TwoStreamProjector

ATTENTION = dict(type='BottleneckAttention', in_channels=4, hidden_channels=8, out_channels=6, num_blocks=1, size=8)


def test_each_stream_projects_its_map():
    neck = TwoStreamProjector(5, 12, 3, ATTENTION).eval()
    tap, last = torch.randn(2, 4, 8, 8), torch.randn(2, 5, 4, 4)
    c_stream, t_stream = neck((tap, torch.zeros(2, 9, 6, 6), last))
    assert_close(c_stream, neck.c_projector.layers(last.mean(dim=(2, 3))))
    assert_close(t_stream, neck.t_projector.layers(neck.attention(tap).mean(dim=(2, 3))))
    assert c_stream.shape == t_stream.shape == (2, 3)


def test_one_map_serves_both_streams():
    neck = TwoStreamProjector(4, 12, 3, ATTENTION).eval()
    c_stream, t_stream = neck((torch.randn(2, 4, 8, 8),))
    assert c_stream.shape == t_stream.shape == (2, 3)


def test_linear_layers_have_biases():
    neck = TwoStreamProjector(5, 12, 3, ATTENTION)
    for projector, width in ((neck.c_projector, 5), (neck.t_projector, 6)):
        hidden, norm, _, last = projector.layers
        assert hidden.weight.shape == (12, width) and hidden.bias is not None and norm.num_features == 12
        assert last.weight.shape == (3, 12) and last.bias is not None

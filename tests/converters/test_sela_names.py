"""SeLa's heads become one classifier, in the order of their numbers, without the head of rotations."""

from __future__ import annotations

import torch

from mmssl.converters.convert import convert
from mmssl.converters.detect import detect_source


def test_heads_are_joined_and_the_head_of_rotations_is_left_out():
    heads = {f'top_layer{h}.{kind}': torch.full((6, 3)[: 2 - (kind == 'bias')], float(h))
             for h in range(11) for kind in ('weight', 'bias')}  # fmt: skip
    official = {'module.features.4.weight': torch.ones(2, 2, 3, 3), **heads, 'top_layer11.bias': torch.ones(4)}
    assert detect_source(official) == 'sela'
    ours = convert(official, 'sela')
    assert set(ours) == {'backbone.stages.1.0.conv.weight', 'head.fc.weight', 'head.fc.bias'}
    assert ours['head.fc.weight'].shape == (66, 3)
    assert ours['head.fc.bias'].tolist() == [float(h) for h in range(11) for _ in range(6)]

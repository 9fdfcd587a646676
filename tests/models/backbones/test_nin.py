from __future__ import annotations

import pytest
import torch

from mmssl.models.backbones.nin import NIN


def test_maps_of_the_published_network():
    with torch.device('meta'):
        backbone = NIN(out_indices=(0, 1, 2, 3))
        maps = backbone(torch.zeros(1, 3, 32, 32))
    assert [tuple(m.shape[1:]) for m in maps] == [(96, 16, 16), (192, 8, 8), (192, 8, 8), (192, 8, 8)]
    assert not any(name.endswith('conv.bias') for name, _ in backbone.named_parameters())


def test_the_mean_counts_the_padded_zeros():
    pool = NIN(3).stages[1].pool
    torch.testing.assert_close(9 * pool(torch.ones(1, 1, 4, 4))[0, 0], torch.tensor([[4.0, 6], [6, 9]]))


def test_one_stage_is_too_few():
    with pytest.raises(ValueError, match='num_stages must be at least 2, got 1'):
        NIN(1)

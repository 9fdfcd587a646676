from __future__ import annotations

import torch
from torch.testing import assert_close

from mmssl.models.layers.hidden_patches import hidden_patches

CPU = torch.device('cpu')


def test_the_rows_of_two_views_of_two_images():
    drawn = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]], dtype=torch.bool)  # image 0: views 0, 1
    hidden = hidden_patches(drawn.numpy(), 2, CPU)
    assert torch.equal(hidden.mask, drawn[[0, 2, 1, 3]])
    assert hidden.positions.tolist() == [0, 2, 4, 9, 10, 11]
    assert_close(hidden.weights * 4, torch.tensor([1 / 2, 1 / 2, 1, 1 / 3, 1 / 3, 1 / 3], dtype=torch.float64))
    tokens = torch.arange(24.0).reshape(4, 3, 2)
    assert torch.equal(hidden.of(tokens), tokens[hidden.mask])


def test_no_hidden_patch_is_no_row():
    hidden = hidden_patches(torch.zeros(4, 3, dtype=torch.bool).numpy(), 2, CPU)
    assert hidden.of(torch.ones(4, 3, 5)).shape == (0, 5) and not len(hidden.weights)

"""Bytes that autograd keeps."""

from __future__ import annotations

import torch
from torch import nn

from mmssl.profiling.saved_bytes import count_saved_bytes


def test_activations_count_once_and_weights_not_at_all() -> None:
    model = nn.Sequential(nn.Linear(8, 16), nn.Sigmoid())
    x = torch.randn(4, 8)
    with count_saved_bytes(model) as saved:
        y = model(x)
        y.square()  # keeps the output of the sigmoid, which is kept already
    assert saved.total == x.nbytes + y.nbytes


def test_nothing_is_kept_without_gradient() -> None:
    model = nn.Linear(8, 16)
    with count_saved_bytes(model) as saved, torch.no_grad():
        model(torch.randn(4, 8))
    assert saved.total == 0

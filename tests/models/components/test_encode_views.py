from __future__ import annotations

import torch
from torch import nn
from torch.testing import assert_close

from mmssl.models.components.encode_views import encode_views


class Spy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[tuple[int, ...]] = []

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor]:
        self.sizes.append(tuple(images.shape))
        return (images,)


def test_one_forward_per_size_and_views_in_order():
    views = [torch.randn(2, 3, size, size) for size in (8, 8, 4, 4, 4)]
    spy = Spy()
    features = encode_views(spy, views)
    assert spy.sizes == [(4, 3, 8, 8), (6, 3, 4, 4)]
    assert_close(features.unflatten(0, (5, 2)), torch.stack([view.mean(dim=(2, 3)) for view in views]))

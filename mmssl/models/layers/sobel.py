"""Image gradients in the place of colours."""

from __future__ import annotations

import torch
from torch import nn


class Sobel(nn.Sequential):
    """The mean of the three channels, and of it the horizontal and vertical Sobel gradient (DeepCluster, section 3.2).

    Takes images (N, 3, H, W) and returns (N, 2, H, W). Its 24 numbers are constants: they never train.
    """

    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 1, 1), nn.Conv2d(1, 2, 3, padding=1))
        across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        nn.init.constant_(self[0].weight, 1 / 3)
        with torch.no_grad():
            self[1].weight.copy_(torch.stack([across, across.T])[:, None])
        for layer in self:
            nn.init.zeros_(layer.bias)
        self.requires_grad_(False)

"""Image gradients in the place of colours."""

from __future__ import annotations

import torch
from torch import nn


class Sobel(nn.Sequential):
    """The mean of the three channels, and of it the horizontal and vertical Sobel gradient (DeepCluster, section 3.2).

    Takes images (N, 3, H, W) and returns (N, 2, H, W). Its 24 numbers are constants: they never train.
    """

    def __init__(self) -> None:
        grey, edges = nn.Conv2d(3, 1, 1), nn.Conv2d(1, 2, 3, padding=1)
        super().__init__(grey, edges)
        across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]])
        with torch.no_grad():
            grey.weight.fill_(1 / 3)
            edges.weight.copy_(torch.stack([across, across.T])[:, None])
            for parameter in self.parameters():
                if parameter.ndim == 1:
                    parameter.zero_()
        self.requires_grad_(False)

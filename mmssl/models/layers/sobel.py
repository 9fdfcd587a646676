"""Sobel gradients of an image, as network input instead of colours."""

from __future__ import annotations

import torch
from torch import nn


class Sobel(nn.Sequential):
    """Horizontal and vertical Sobel gradient of the mean of three channels (DeepCluster, arXiv:1807.05520, section
    3.2).

    It takes images (N, 3, H, W) and returns (N, 2, H, W). Its 24 parameters are constants and are not trained.
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

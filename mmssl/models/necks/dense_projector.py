"""Projects a map twice: as one vector, and position by position."""

from __future__ import annotations

from typing import NamedTuple

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.pooling import to_vector
from mmssl.registry import NECKS


class DenseEmbedding(NamedTuple):
    """What ``DenseProjector`` makes of images."""

    vector: Tensor
    """(N, out_channels), the embedding of the image."""
    dense: Tensor
    """(N, out_channels, H, W), the embedding of each position."""
    features: Tensor
    """(N, in_channels, H, W), the map of the backbone, by which positions are matched."""


@NECKS.register_module()
class DenseProjector(BaseModule):
    """Two MLPs side by side: one on the pooled map, one on each position (Wang et al., 2021, arXiv:2011.09157, Fig. 2).

    ``global_layers`` is linear, ReLU, linear, and ``dense_layers`` the same as 1 x 1 convolutions. As in the official
    code, the linear layers begin with He's normal with fan-in and biases of 0, the convolutions with torch's default.

    Args:
        in_channels: Width of the last map.
        hidden_channels: Width of the hidden layer of both MLPs.
        out_channels: Width of both embeddings.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, hidden_channels: int, out_channels: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.global_layers = nn.Sequential(
            nn.Linear(in_channels, hidden_channels), nn.ReLU(inplace=True), nn.Linear(hidden_channels, out_channels)
        )
        self.dense_layers = nn.Sequential(
            nn.Conv2d(in_channels, hidden_channels, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(hidden_channels, out_channels, 1),
        )
        for layer in self.global_layers:
            if isinstance(layer, nn.Linear):
                nn.init.kaiming_normal_(layer.weight, mode='fan_in', nonlinearity='relu')
                nn.init.zeros_(layer.bias)

    def forward(self, maps: tuple[Tensor, ...]) -> DenseEmbedding:
        """Projects the last of the maps (N, C, H, W) that a backbone returns."""
        return DenseEmbedding(self.global_layers(to_vector(maps)), self.dense_layers(maps[-1]), maps[-1])

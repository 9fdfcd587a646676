"""The discriminator of IGAM."""

from __future__ import annotations

import math
from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn import functional as F

from mmssl.models.components.per_image_norm import PerImageNorm
from mmssl.registry import COMPONENTS

_KERNEL, _STRIDE = 4, 2


@COMPONENTS.register_module()
class GradientDiscriminator(BaseModule):
    """Classifies input gradients by their network, student or teacher (IGAM, arXiv:1912.05699, section 3.2).

    It has 4 x 4 convolutions with stride 2, each followed by batch norm and leaky ReLU, and one linear layer. Each map
    is first normalised by ``PerImageNorm``, so its scale and offset carry no information. The official code uses 5
    layers with 16 channels first for CIFAR-10 to CIFAR-100, and 4 layers with 8 channels first for Tiny-ImageNet to
    CIFAR-10. Padding is TensorFlow's ``SAME``. Initial weights are He's normal with fan-out; those of the last layer,
    with D inputs, are U(-sqrt(3 / D), sqrt(3 / D)); biases are 0.

    Args:
        image_size: Side of the maps in pixels; with ``pool`` maps of any size pass.
        num_layers: Number of convolutions; each halves the side, and each after the first doubles the channels.
        base_channels: Number of channels after the first convolution.
        pool: Whether the last layer gets the mean over positions, instead of all positions.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        image_size: int = 32,
        num_layers: int = 5,
        base_channels: int = 16,
        pool: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.normalize = PerImageNorm(scale='l2')
        self.pool = pool
        self.image_size = None if pool else image_size  # compared with the view before a run
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels, side = 3, image_size
        for layer in range(num_layers):
            width = base_channels << layer
            self.convs.append(nn.Conv2d(channels, width, _KERNEL, _STRIDE))
            self.norms.append(nn.BatchNorm2d(width, eps=1e-3))
            channels, side = width, -(-side // _STRIDE)
        self.fc = nn.Linear(channels * (1 if pool else side**2), 2)
        self._draw_weights()

    def init_weights(self) -> None:
        """Draws the initial weights, and then follows ``init_cfg``."""
        self._draw_weights()
        super().init_weights()

    def _draw_weights(self) -> None:
        convs: Any = self.convs
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(conv.bias)
        bound = math.sqrt(3 / self.fc.in_features)
        nn.init.uniform_(self.fc.weight, -bound, bound)
        nn.init.zeros_(self.fc.bias)

    def forward(self, gradients: Tensor) -> Tensor:
        """Returns logits (N, 2), student first and teacher second, for gradients (N, 3, S, S)."""
        x = self.normalize(gradients)
        for conv, norm in zip(self.convs, self.norms):
            x = F.leaky_relu(norm(conv(_pad_same(x))), 0.1)
        return self.fc(x.mean(dim=(2, 3)) if self.pool else x.flatten(1))


def _pad_same(x: Tensor) -> Tensor:
    """Pads (N, C, H, W) with zeros as TensorFlow's ``SAME`` does; an odd row or column goes below or to the right."""
    missing = [max((-(-side // _STRIDE) - 1) * _STRIDE + _KERNEL - side, 0) for side in (x.shape[3], x.shape[2])]
    return F.pad(x, [pad for total in missing for pad in (total // 2, total - total // 2)])

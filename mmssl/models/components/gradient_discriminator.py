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
    """Tells whose input gradient a map is: convolutions of 4 x 4 with stride 2, batch norms, leaky ReLUs, one layer.

    Each map is first normalised by itself, so its scale and offset say nothing (IGAM, arXiv:1912.05699, section 3.2,
    sizes from the official code: 5 layers from 16 channels on for CIFAR-10 to CIFAR-100, 4 from 8 channels on for
    Tiny-ImageNet to CIFAR-10). Paddings are TensorFlow's ``SAME``. Weights begin as He's normal with fan-out, those of
    the last layer as U(-sqrt(3 / D), sqrt(3 / D)), and biases at 0.

    Args:
        image_size: Side of the maps, in pixels.
        num_layers: Number of convolutions, each of which halves the side and doubles the channels.
        base_channels: Channels after the first convolution.
        pool: Whether positions are averaged before the last layer, instead of flattened.
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
        self.convs, self.norms = nn.ModuleList(), nn.ModuleList()
        channels, side = 3, image_size
        for layer in range(num_layers):
            width = base_channels << layer
            self.convs.append(nn.Conv2d(channels, width, _KERNEL, _STRIDE))
            self.norms.append(nn.BatchNorm2d(width, eps=1e-3))
            channels, side = width, -(-side // _STRIDE)
        self.fc = nn.Linear(channels * (1 if pool else side**2), 2)
        self.init_weights()

    def init_weights(self) -> None:
        """Draws the weights."""
        convs: Any = self.convs
        for conv in convs:
            nn.init.kaiming_normal_(conv.weight, mode='fan_out', nonlinearity='relu')
            nn.init.zeros_(conv.bias)
        bound = math.sqrt(3 / self.fc.in_features)
        nn.init.uniform_(self.fc.weight, -bound, bound)
        nn.init.zeros_(self.fc.bias)

    def forward(self, gradients: Tensor) -> Tensor:
        """Returns logits (N, 2), the student first and the teacher second, of gradients (N, 3, S, S)."""
        x = self.normalize(gradients)
        for conv, norm in zip(self.convs, self.norms):
            x = F.leaky_relu(norm(conv(_pad_same(x))), 0.1)
        return self.fc(x.mean(dim=(2, 3)) if self.pool else x.flatten(1))


def _pad_same(x: Tensor) -> Tensor:
    """Zeros around (N, C, H, W) so that a convolution returns ceil(side / stride): the odd one right and below."""
    missing = [max((-(-side // _STRIDE) - 1) * _STRIDE + _KERNEL - side, 0) for side in (x.shape[3], x.shape[2])]
    return F.pad(x, [pad for total in missing for pad in (total // 2, total - total // 2)])

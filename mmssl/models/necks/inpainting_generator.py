"""The neck of the context encoder: from a map of the context to the pixels of the hole."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.initialization import dcgan_normal
from mmssl.registry import NECKS


@NECKS.register_module()
class InpaintingGenerator(BaseModule):
    """A bottleneck that sees the whole map, then transposed convolutions to an image (arXiv:1604.07379, section 3.1).

    A convolution over the whole map gives one vector; a transposed one makes 4 x 4 positions of it; each further one
    doubles the side; the last ends with tanh. All others are followed by batch norm and ReLU (leaky after the
    bottleneck). There are no biases: the official code sets them to 0 before every evaluation.

    Args:
        in_channels: Channels of the map.
        map_size: Side of the map.
        bottleneck: Channels of the bottleneck: 4000 in the published run.
        widths: Channels at the sides 4, 8, 16, ...; the image has twice the last side.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int = 512,
        map_size: int = 4,
        bottleneck: int = 4000,
        widths: Sequence[int] = (512, 256, 128, 64),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        layers: list[nn.Module] = [
            nn.Conv2d(in_channels, bottleneck, map_size, bias=False),
            nn.BatchNorm2d(bottleneck),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        inputs, stride, padding = bottleneck, 1, 0
        for outputs in widths:
            layers.append(nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            inputs, stride, padding = outputs, 2, 1
        layers += [nn.ConvTranspose2d(inputs, 3, 4, stride, padding, bias=False), nn.Tanh()]
        self.layers = nn.Sequential(*layers)
        self.apply(dcgan_normal)

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns images (N, 3, h, h) in [-1, 1] for a map (N, C, H, W), or for the last of several maps."""
        return self.layers(features[-1] if isinstance(features, tuple) else features)

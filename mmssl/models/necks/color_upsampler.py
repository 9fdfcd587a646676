"""The neck of colourisation: from a backbone's map to logits of colours."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.registry import NECKS


@NECKS.register_module()
class ColorUpsampler(BaseModule):
    """Doubles the resolution of a map and predicts bins of colours at every position.

    Transposed convolution (4 x 4, stride 2), two convolutions (3 x 3), all with ReLU, and a 1 x 1 convolution to the
    logits: block 8 of the network of Zhang et al., 2016, arXiv:1603.08511.

    Args:
        in_channels: Channels of the backbone's last map.
        width: Channels of the hidden layers.
        num_bins: Number Q of bins of colours.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self, in_channels: int = 512, width: int = 256, num_bins: int = 313, init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(in_channels, width, 4, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, num_bins, 1),
        )

    def forward(self, features: Tensor | tuple[Tensor, ...]) -> Tensor:
        """Returns logits (N, Q, 2 H, 2 W) for a map (N, C, H, W), or for the last of several maps."""
        return self.layers(features[-1] if isinstance(features, tuple) else features)

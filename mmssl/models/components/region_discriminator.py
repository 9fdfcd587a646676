"""The discriminator of the context encoder."""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.func import functional_call

from mmssl.models.layers.initialization import dcgan_normal
from mmssl.registry import COMPONENTS


@COMPONENTS.register_module()
class RegionDiscriminator(BaseModule):
    """Tells real regions from generated ones (arXiv:1604.07379, section 3.2; the discriminator of DCGAN).

    4 x 4 convolutions with stride 2, batch norm (not after the first) and leaky ReLU, and a convolution over the whole
    map to one logit. There are no biases: the official code sets them to 0 before every evaluation.

    Args:
        size: Side of the regions in pixels.
        widths: Channels of the convolutions, each of which halves the side.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``size`` cannot be halved as often as there are ``widths``.
    """

    def __init__(
        self, size: int = 64, widths: Sequence[int] = (64, 128, 256, 512), init_cfg: dict | None = None
    ) -> None:
        super().__init__(init_cfg)
        if size % 2 ** len(widths):
            raise ValueError(f'size={size} must be a multiple of {2 ** len(widths)} for {len(widths)} widths')
        self.size = size
        layers: list[nn.Module] = []
        inputs = 3
        for index, outputs in enumerate(widths):
            layers.append(nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False))
            if index > 0:
                layers.append(nn.BatchNorm2d(outputs))
            layers.append(nn.LeakyReLU(0.2, inplace=True))
            inputs = outputs
        layers.append(nn.Conv2d(inputs, 1, size // 2 ** len(widths), bias=False))
        self.layers = nn.Sequential(*layers)
        self.apply(dcgan_normal)

    def forward(self, regions: Tensor) -> Tensor:
        """Returns the logits (N,) that regions (N, 3, S, S) are real.

        Raises:
            ValueError: The regions have another size.
        """
        if regions.shape[-1] != self.size:
            raise ValueError(f'model.discriminator.size={self.size} must be {regions.shape[-1]}, the side of the hole')
        return self.layers(regions).flatten()

    def constant(self, regions: Tensor) -> Tensor:
        """Returns ``self(regions)`` with a gradient for the regions only; running statistics do not change."""
        parameters = {name: parameter.detach() for name, parameter in self.named_parameters()}
        buffers = {name: buffer.clone() for name, buffer in self.named_buffers()}
        return functional_call(self, (parameters, buffers), (regions,))

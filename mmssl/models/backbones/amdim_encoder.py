"""The encoder of AMDIM."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, pad

from mmssl.registry import BACKBONES


@BACKBONES.register_module()
class AMDIMEncoder(BaseModule):
    """A residual network with a limited receptive field (Bachman et al., 2019, arXiv:1906.00910, section 4.1).

    Convolutions have no padding, so positions of a map see parts of the image: 7 x 7 and 5 x 5 positions that overlap
    little. By default only the vector at the end has a batch norm.

    Args:
        width: Channels of the first layer, the official ``ndf``.
        out_channels: Channels of the vector, the official ``n_rkhs``, at least 4 ``width`` for images of 32 pixels and
            8 ``width`` for larger ones.
        num_units: Number of residual units of a block.
        img_size: Side of the images in pixels: 32, 64 or 128.
        norm: Whether every unit has a batch norm.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``img_size`` is not possible, or ``out_channels`` is too small.
    """

    def __init__(
        self,
        width: int = 192,
        out_channels: int = 1536,
        num_units: int = 8,
        img_size: int = 128,
        norm: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if img_size not in (32, 64, 128):
            raise ValueError(f'img_size must be 32, 64 or 128, got {img_size}')
        self.img_size = img_size
        widest = (4 if img_size == 32 else 8) * width
        if out_channels < widest:
            raise ValueError(f'out_channels must be at least {widest} for width={width}, got {out_channels}')
        if img_size == 32:
            layers: list[nn.Module] = [_stem(3, width), AMDIMUnit(width, width, 1, 1, norm)]
            blocks = [(2 * width, 4), (widest, 2)]
        else:
            layers = [_stem(3, width)]
            if img_size == 128:
                first = nn.Conv2d(3, width, 5, stride=2, padding=2, padding_mode='reflect')
                layers = [nn.Sequential(first, nn.ReLU(inplace=True)), _stem(width, width)]
            blocks = [(2 * width, 4), (4 * width, 4), (widest, 2)]
        inputs = width
        for outputs, kernel in blocks:
            layers.append(_block(inputs, outputs, kernel, 2, num_units, norm))
            inputs = outputs
        layers.append(nn.BatchNorm2d(widest) if norm else nn.Identity())
        self.to_seven, self.to_five = nn.Sequential(*layers), _block(widest, widest, 3, 1, num_units, norm)
        self.to_one = nn.Sequential(
            _block(widest, widest, 3, 1, num_units, norm),
            AMDIMUnit(widest, out_channels, 3, 1, norm),
            nn.BatchNorm2d(out_channels),
        )
        self.map_channels, self.feature_dim = widest, out_channels

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns maps (N, C, 7, 7), (N, C, 5, 5) and (N, ``out_channels``, 1, 1) of images (N, 3, S, S), normalised.

        Raises:
            ValueError: The images have another size than ``img_size``.
        """
        height, width = images.shape[-2:]
        if (height, width) != (self.img_size, self.img_size):
            raise ValueError(
                f'AMDIMEncoder needs images of img_size pixels, got {height} x {width} with img_size={self.img_size}'
            )
        seven = self.to_seven(images)
        five = self.to_five(seven)
        return seven, five, self.to_one(five)


class AMDIMUnit(nn.Module):
    """Convolution, optional batch norm, ReLU and 1 x 1 convolution, plus the averaged input with new channels of 0.

    The second convolution starts with 0, so a unit starts as the average.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels, at least ``inputs``.
        kernel: Side of the first convolution and of the average in pixels.
        stride: Stride of both.
        norm: Whether a batch norm follows the first convolution.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, norm: bool) -> None:
        super().__init__()
        self.kernel, self.stride, self.grown = kernel, stride, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, kernel, stride, bias=False)
        self.bn1: nn.Module = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 1, bias=False)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Returns the map of the unit."""
        shortcut = avg_pool2d(x, self.kernel, self.stride) if self.kernel > 1 else x
        return self.conv2(self.relu(self.bn1(self.conv1(x)))) + pad(shortcut, (0, 0, 0, 0, 0, self.grown))


def _stem(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, 3), nn.ReLU(inplace=True))


def _block(inputs: int, outputs: int, kernel: int, stride: int, num_units: int, norm: bool) -> nn.Sequential:
    units = [AMDIMUnit(inputs, outputs, kernel, stride, norm)]
    return nn.Sequential(*units, *(AMDIMUnit(outputs, outputs, 1, 1, norm) for _ in range(num_units - 1)))

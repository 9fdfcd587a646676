"""The neck of AMDIM: maps of two scales to the width of the vector."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.registry import NECKS


@NECKS.register_module()
class AMDIMProjector(BaseModule):
    """A residual unit of 1 x 1 convolutions with a final batch norm for each of two maps (arXiv:1906.00910).

    Args:
        in_channels: Channels C of the maps.
        out_channels: Channels D of the projections, at least C, and of the vector.
        norm: Whether the hidden layers have a batch norm.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``out_channels`` is less than ``in_channels``.
    """

    def __init__(self, in_channels: int, out_channels: int, norm: bool = False, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        if out_channels < in_channels:
            raise ValueError(f'out_channels must be at least in_channels={in_channels}, got {out_channels}')
        self.out_channels = out_channels
        self.seven = _Projection(in_channels, out_channels, norm)
        self.five = _Projection(in_channels, out_channels, norm)

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Returns maps (N, D, 7, 7) and (N, D, 5, 5) and the vector (N, D) of the output of an ``AMDIMEncoder``.

        Raises:
            ValueError: The vector has another width.
        """
        seven, five, vector = features
        if vector.shape[1] != self.out_channels:
            raise ValueError(f'the vector has {vector.shape[1]} numbers: set model.neck.out_channels to it')
        return self.seven(seven), self.five(five), vector.flatten(1)


class _Projection(nn.Module):
    """1 x 1 convolution, optional batch norm, ReLU, 1 x 1 convolution; plus a 1 x 1 convolution near the identity."""

    def __init__(self, inputs: int, outputs: int, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.bn_hid: nn.Module = nn.BatchNorm2d(outputs) if norm else nn.Identity()
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 1, bias=False)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)
        self.bn_out = nn.BatchNorm2d(outputs)
        with torch.no_grad():
            self.conv2.weight.zero_()
            self.shortcut.weight.uniform_(-0.01, 0.01)
            self.shortcut.weight[range(inputs), range(inputs)] = 1.0

    def forward(self, x: Tensor) -> Tensor:
        """Returns the projection of a map."""
        return self.bn_out(self.conv2(self.relu(self.bn_hid(self.conv1(x)))) + self.shortcut(x))

"""A unit of convolution, batch norm and ReLU."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def conv_unit(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None, bias: bool = True
) -> nn.Sequential:
    """Returns a convolution, a batch norm and a ReLU, named ``conv``, ``bn`` and ``relu``.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        kernel: Side of the kernel in pixels.
        stride: Stride of the convolution.
        padding: Width of the zero padding; None keeps the size of the map at stride 1.
        bias: Whether the convolution has a bias; the norm after it removes its effect.
    """
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU(inplace=True)))

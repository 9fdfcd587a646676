"""Convolution, batch norm and ReLU."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def conv_unit(
    inputs: int, outputs: int, kernel: int, stride: int = 1, padding: int | None = None, bias: bool = True
) -> nn.Sequential:
    """Returns a convolution, a batch norm and a ReLU, named ``conv``, ``bn`` and ``relu``.

    Args:
        inputs: Channels that come in.
        outputs: Channels that go out.
        kernel: Side of the kernel in pixels.
        stride: Stride of the convolution.
        padding: Zero padding; None keeps the size at stride 1.
        bias: Whether the convolution has a bias, which the norm after it makes superfluous.
    """
    padding = kernel // 2 if padding is None else padding
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU(inplace=True)))

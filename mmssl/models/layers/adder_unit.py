"""A unit of adder layer (or convolution), batch norm and ReLU."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn

from mmssl.models.layers.adder2d import Adder2d


def adder_unit(inputs: int, outputs: int, kernel: int, padding: int = 0, adder: bool = True) -> nn.Sequential:
    """Returns an adder layer, a batch norm and a ReLU, named ``conv``, ``bn`` and ``relu``.

    Args:
        inputs: Number of input channels.
        outputs: Number of output channels.
        kernel: Side of the filters in pixels.
        padding: Width of the zero padding on every side.
        adder: Whether to use an adder layer; False uses a convolution without bias.
    """
    layer = Adder2d if adder else _conv
    conv = layer(inputs, outputs, kernel, padding=padding)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs), relu=nn.ReLU(inplace=True)))


def use_adders(module: nn.Module) -> None:
    """Replaces every convolution in ``module`` with ``Adder2d``; they must have no bias, groups or dilation."""
    for parent in list(module.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, nn.Conv2d):
                kernel, stride, padding = conv.kernel_size[0], conv.stride[0], int(conv.padding[0])
                setattr(parent, name, Adder2d(conv.in_channels, conv.out_channels, kernel, stride, padding))


def _conv(inputs: int, outputs: int, kernel: int, padding: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, padding=padding, bias=False)

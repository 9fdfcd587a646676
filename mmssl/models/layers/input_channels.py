"""The number of channels of images: ``in_channels`` of every backbone, and weights that were trained on RGB images."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.logging import print_log
from timm.models._manipulate import adapt_input_conv
from torch import Tensor, nn

from mmssl.models.layers.sobel import Sobel
from mmssl.registry import BACKBONES


def set_in_channels(backbone: Any, number: int) -> None:
    """Replaces the first convolution of a backbone for colour images by one for images with ``number`` channels.

    ``in_channels=13`` in the config of any backbone calls this function. The new weights are normal with the mean and
    deviation of the initial weights times sqrt(3 / number), so the output has the same deviation as for three channels.
    A Sobel layer takes the mean of all channels. Weights that timm has loaded (``pretrained=True``) are adapted
    instead, see ``adapt_channels``.

    Args:
        backbone: Backbone with initial weights, whose first layer is a convolution of three channels.
        number: Number of channels, at least 1; 3 changes nothing.

    Raises:
        ValueError: ``number`` is not positive, or the first layer is no convolution of three channels.
    """
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f'in_channels must be a whole number of at least 1, got {number!r}')
    if number == 3:
        return
    name, old = first_convolution(backbone)
    if old is None or old.in_channels != 3 or old.groups != 1:
        raise ValueError(
            f'{type(backbone).__name__} does not begin with a convolution of three channels, so in_channels={number} '
            'is not possible'
        )
    options: dict[str, Any] = dict(
        stride=old.stride, padding=old.padding, dilation=old.dilation, bias=old.bias is not None
    )
    options |= dict(kernel_size=old.kernel_size)
    new = type(old)(number, old.out_channels, **options)
    if new.padding != old.padding:  # a class that computes its padding itself
        new.padding = old.padding
    owner = backbone.get_submodule(name.rpartition('.')[0])
    with torch.no_grad():
        if isinstance(owner, Sobel):
            new.weight.fill_(1 / number)
        elif getattr(backbone, 'is_pretrained', False):
            new.weight.copy_(adapt_input_conv(number, old.weight))
            print_log(_adapted(name, number), logger='current')
        else:
            new.weight.normal_(float(old.weight.mean()), float(old.weight.std()) * (3 / number) ** 0.5)
        if old.bias is not None and new.bias is not None:
            new.bias.copy_(old.bias)
    for own, former in zip(new.parameters(), old.parameters()):
        own.requires_grad_(former.requires_grad)
    setattr(owner, name.rpartition('.')[2], new)


BACKBONES.shared['in_channels'] = set_in_channels


def first_convolution(backbone: nn.Module) -> tuple[str, nn.Conv2d | None]:
    """Returns name and module of the first convolution of a backbone, in the order of registration."""
    found = ((name, module) for name, module in backbone.named_modules() if isinstance(module, nn.Conv2d))
    return next(found, ('', None))


def adapt_channels(backbone: nn.Module, tensors: dict[str, Tensor]) -> tuple[dict[str, Tensor], str]:
    """Adapts the first layer of weights that were trained on images with three channels, as timm does.

    One channel gets the sum of the weights of red, green and blue. Other numbers repeat red, green and blue and
    multiply by three / number, so a grey image gives the same output as before.

    Args:
        backbone: Backbone that will load the tensors.
        tensors: Tensors of a file by the names of the backbone.

    Returns:
        The tensors, and a sentence for the log, empty if nothing changed.
    """
    name, layer = first_convolution(backbone)
    key = f'{name}.weight'
    if key not in tensors:  # files of the whole model may have another name, see ``prefix_of``
        whole_names: dict[str, str | None] = getattr(backbone, 'whole_names', {})
        key = next((other for other, own_key in whole_names.items() if own_key == key), key)
    weight = tensors.get(key)
    if layer is None or weight is None or weight.ndim != 4:
        return tensors, ''
    own = layer.weight.shape
    if weight.shape == own or weight.shape[1] != 3 or weight.shape[::2] != own[::2] or weight.shape[3] != own[3]:
        return tensors, ''
    number = own[1]
    return tensors | {key: adapt_input_conv(number, weight)}, _adapted(name, number)


def _adapted(name: str, number: int) -> str:
    how = 'summed over red, green and blue' if number == 1 else f'red, green and blue repeated, times 3 / {number}'
    return f'{name}: the weights for 3 channels became weights for {number} ({how})'

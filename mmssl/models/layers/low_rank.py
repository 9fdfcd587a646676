"""Low-rank updates of the linear layers of a trained transformer, and the freezing of its first blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.checkpoints.low_rank import DOWN, UP
from mmssl.utils.errors import UserError

_UPDATED = ('qkv', 'q', 'k', 'v', 'q_proj', 'k_proj', 'v_proj', 'proj', 'fc1', 'fc2', 'fc1_g', 'fc1_x')


def add_low_rank(backbone: nn.Module, rank: int) -> int:
    """Freezes a transformer and adds trainable low-rank updates to its linear layers (LoRA, arXiv:2106.09685, Eq. 3).

    The output of a layer becomes ``W x + b + B (A x)`` with A (rank, in) and B (out, rank), for the projections of
    attention and MLP in every block. B is 0 at the start, so the network does not change. The scale alpha / rank of
    the paper is 1.

    Args:
        backbone: Backbone with blocks of timm's names; its other parameters no longer train.
        rank: Rank of the updates, at least 1.

    Returns:
        The number of layers with an update.

    Raises:
        UserError: The backbone has no such layers, or its attention does not call them as modules.
    """
    layers = list(_linear_layers(backbone))
    if not layers or any(getattr(module, 'q_bias', None) is not None for module in backbone.modules()):
        raise UserError(
            f'low_rank needs a transformer whose blocks call the layers {", ".join(_UPDATED)}, such as '
            f'VisionTransformer; {type(backbone).__name__} does not: use trainable.frozen_blocks instead'
        )
    backbone.requires_grad_(False)
    for layer in layers:
        down = layer.weight.new_empty(rank, layer.in_features)
        nn.init.kaiming_uniform_(down, a=math.sqrt(5))
        layer.register_parameter(DOWN, nn.Parameter(down))
        layer.register_parameter(UP, nn.Parameter(layer.weight.new_zeros(layer.out_features, rank)))
        layer.register_forward_hook(_update)
        adapt_on_load(layer, _start_without_update)
    return len(layers)


def restrict_training(model: Any, frozen_blocks: int = 0, low_rank: int = 0) -> None:
    """Restricts what of a backbone trains; the backbone of a teacher gets the same layers, so that it can follow.

    The teacher averages both factors of a low-rank update, and not their product.

    Args:
        model: Algorithm with ``backbone``, and optionally ``teacher.backbone``.
        frozen_blocks: Number of first blocks that do not train, see ``freeze_blocks``.
        low_rank: Rank of the updates that train in place of the backbone's weights, see ``add_low_rank``; 0 adds none.

    Raises:
        UserError: The backbone does not support it, both are given, or one is no whole number of at least 0.
    """
    for key, number in (('frozen_blocks', frozen_blocks), ('low_rank', low_rank)):
        if not isinstance(number, int) or isinstance(number, bool) or number < 0:
            raise UserError(f'trainable.{key} must be a whole number of at least 0, got {number!r}')
    if frozen_blocks and low_rank:
        raise UserError('low_rank freezes all blocks: give either trainable.frozen_blocks or trainable.low_rank')
    if frozen_blocks:
        freeze_blocks(model.backbone, frozen_blocks)
    if low_rank:
        add_low_rank(model.backbone, low_rank)
        taught = getattr(getattr(model, 'teacher', None), 'backbone', None)
        if taught is not None:
            add_low_rank(taught, low_rank)
            first = {name: x for name, x in model.backbone.state_dict().items() if name.endswith(DOWN)}
            taught.load_state_dict(first, strict=False)  # factors of other origins could not be averaged
            taught.requires_grad_(False)


def freeze_blocks(backbone: Any, number: int) -> None:
    """Freezes the embedding and the first blocks of a backbone; norms with running statistics still collect them.

    Args:
        backbone: Backbone with ``layers_to_output()``, see ``OrderedLayers``.
        number: Number of frozen blocks, at least 1.

    Raises:
        UserError: The backbone has fewer blocks, or does not tell their order.
    """
    if not hasattr(backbone, 'layers_to_output'):
        raise UserError(f'trainable.frozen_blocks needs the order of blocks, which {type(backbone).__name__} has not')
    distances = backbone.layers_to_output()
    blocks = max(distances.values()) - 1
    if number > blocks:
        raise UserError(f'trainable.frozen_blocks={number} is more than the {blocks} blocks of the backbone')
    for name, parameter in backbone.named_parameters():
        if distances[name] > blocks - number:
            parameter.requires_grad_(False)


def _linear_layers(backbone: nn.Module) -> Iterator[nn.Linear]:
    for name, module in backbone.named_modules():
        if isinstance(module, nn.Linear) and '.blocks.' in f'.{name}' and name.rpartition('.')[2] in _UPDATED:
            yield module


def _update(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return output + linear(linear(inputs[0], layer.get_parameter(DOWN)), layer.get_parameter(UP))


def _start_without_update(layer: nn.Module, state_dict: dict, prefix: str, *args: object) -> None:
    """Adds the factors to a state dict that has the weight alone, so that the layer begins with this weight."""
    if f'{prefix}weight' in state_dict and f'{prefix}{UP}' not in state_dict:
        state_dict[f'{prefix}{DOWN}'] = layer.get_parameter(DOWN).detach().clone()
        state_dict[f'{prefix}{UP}'] = torch.zeros_like(layer.get_parameter(UP))

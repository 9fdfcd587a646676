"""Initialisations that several modules share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from timm.layers import trunc_normal_
from torch import nn


def xavier_uniform_linear(module: nn.Module) -> None:
    """Initialises linear layers, Xavier uniform with bias 0, and ignores other modules: for ``nn.Module.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def truncated_normal_linear(module: nn.Module) -> None:
    """Initialises linear layers, normal with std 0.02 truncated at 2 and bias 0: for ``nn.Module.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def dcgan_normal(module: nn.Module) -> None:
    """Initialises convolutions with N(0, 0.02) and scales of batch norms with N(1, 0.02): for ``nn.Module.apply``."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.normal_(module.weight, std=0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, mean=1.0, std=0.02)


def truncated_at_std(module: nn.Module) -> None:
    """Initialises linear layers and convolutions as BEiT does, normal with std 0.02 truncated at 0.02 and bias 0."""
    if isinstance(module, (nn.Linear, nn.Conv2d)):
        trunc_normal_(module.weight, std=0.02, a=-0.02, b=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


@torch.no_grad()
def rescale_branches(blocks: Iterable[nn.Module], attention: str = 'attn', mlp: str = 'mlp') -> None:
    """Divides the last weights of both branches of block k, counted from 1, by ``sqrt(2 k)``, as BEiT does.

    Args:
        blocks: Transformer blocks in the order in which they run.
        attention: Name of the attention of a block.
        mlp: Name of the MLP of a block.
    """
    for number, block in enumerate(blocks, 1):
        last: Any = (block.get_submodule(f'{attention}.proj'), block.get_submodule(f'{mlp}.fc2'))
        for layer in last:
            layer.weight.div_((2 * number) ** 0.5)

"""Initial values that several parts share."""

from __future__ import annotations

from torch import nn


def xavier_uniform_linear(module: nn.Module) -> None:
    """Gives a linear layer Xavier uniform weights and no bias, and leaves any other module: for ``Module.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def truncated_normal_linear(module: nn.Module) -> None:
    """Gives a linear layer weights of a normal with deviation 0.02, cut at 2, and no bias; leaves any other module."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)

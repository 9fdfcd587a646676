"""Initialisations that several modules share."""

from __future__ import annotations

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

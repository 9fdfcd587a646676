"""The neck or head of a method without a neck or head."""

from __future__ import annotations

from typing import Any

from torch import nn

from mmssl.registry import HEADS, NECKS


@HEADS.register_module(force=True)  # the same class fills both slots of the one table
@NECKS.register_module()
class Identity(nn.Module):
    """Returns its input."""

    def forward(self, features: Any) -> Any:
        """Returns ``features``."""
        return features

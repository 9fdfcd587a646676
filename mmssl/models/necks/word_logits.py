"""A linear layer from features to the logits of words."""

from __future__ import annotations

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.registry import NECKS


@NECKS.register_module()
class WordLogits(BaseModule):
    """A table of one vector per word, whose products with a feature are the logits; initialised with 0, as in iGPT.

    Args:
        in_channels: Width D of a feature.
        out_channels: Number C of words.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(self, in_channels: int, out_channels: int, init_cfg: dict | None = None) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.layer = nn.Linear(in_channels, out_channels, bias=False)
        nn.init.zeros_(self.layer.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Returns logits (..., C) for features (..., D)."""
        return self.layer(features)

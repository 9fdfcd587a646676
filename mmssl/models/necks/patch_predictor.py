"""A linear prediction for hidden patches."""

from __future__ import annotations

from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmssl.models.layers.patches import select_patches
from mmssl.registry import NECKS


@NECKS.register_module()
class PatchPredictor(BaseModule):
    """One linear layer on the tokens of some patches: the head of BEiT and MaskFeat.

    Args:
        in_channels: Width D of a token.
        out_channels: Width P of the prediction: number of words, or values of a patch.
        bound: Initial weights are normal with 0.02, cut at ``bound``; 0.02 in BEiT, so far off in MaskFeat that nothing
            is cut.
        num_prefix_tokens: Tokens in front that are no patches, such as a class token.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        bound: float = 2.0,
        num_prefix_tokens: int = 1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.out_channels = out_channels
        self.num_prefix_tokens = num_prefix_tokens
        self.layer = nn.Linear(in_channels, out_channels)
        trunc_normal_(self.layer.weight, std=0.02, a=-bound, b=bound)
        nn.init.zeros_(self.layer.bias)

    def forward(self, tokens: Tensor, where: Tensor) -> Tensor:
        """Predicts some patches.

        Args:
            tokens: (N, num_prefix_tokens + L, D).
            where: (N, K) int64, positions among the L patches.

        Returns:
            (N, K, P).
        """
        return self.layer(select_patches(tokens, where + self.num_prefix_tokens))

"""A linear layer that predicts hidden patches."""

from __future__ import annotations

from mmengine.model import BaseModule
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmssl.models.layers.patches import select_patches
from mmssl.registry import NECKS


@NECKS.register_module()
class PatchPredictor(BaseModule):
    """One linear layer on the tokens of selected patches: the prediction head of BEiT and MaskFeat.

    Args:
        in_channels: Width D of a token.
        out_channels: Width P of the prediction: the number of words, or of values of a patch.
        bound: Initial weights are normal with standard deviation 0.02, truncated at ``bound``. BEiT truncates at 0.02,
            MaskFeat at 2, which truncates nothing.
        num_prefix_tokens: Number of tokens before the patches, such as a class token.
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
        """Predicts the selected patches.

        Args:
            tokens: (N, num_prefix_tokens + L, D).
            where: (N, K) int64, positions of the selected patches among the L patches.

        Returns:
            (N, K, P).
        """
        return self.layer(select_patches(tokens, where + self.num_prefix_tokens))

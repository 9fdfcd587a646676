"""The predictor of CAPI."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.cosine_linear import CosineLinear
from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.rotary_block import NORM_EPS, RotaryBlock
from mmssl.registry import NECKS


@NECKS.register_module()
class CAPIPredictor(BaseModule):
    """Predicts the clusters of hidden patches by cross attention alone (Darcet et al., 2025, arXiv:2502.08769).

    A hidden patch is a mask token at its place. It attends to the tokens of the visible patches and to the registers,
    which stay the same in all blocks, and not to other hidden patches. So the number of patches that are predicted
    changes no prediction. A ``CosineLinear`` gives the logits.

    Args:
        in_channels: Width D of the tokens of the backbone.
        out_channels: Number of clusters C.
        embed_dim: Width E of a mask token; None means D.
        depth: Number of blocks.
        num_heads: Number of attention heads; the width of a head must be a multiple of 4.
        mlp_ratio: Hidden width of an MLP / E.
        drop_path_rate: Stochastic depth probability of every block, see ``BatchSubsetBlock``.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int = 1024,
        out_channels: int = 16384,
        embed_dim: int | None = None,
        depth: int = 12,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        dim = embed_dim or in_channels
        self.in_channels, self.out_channels = in_channels, out_channels
        self.mask_token = nn.Parameter(nn.init.normal_(torch.empty(1, dim), std=0.02))
        self.blocks = nn.ModuleList(
            RotaryBlock(dim, num_heads, mlp_ratio, in_channels, drop_path_rate) for _ in range(depth)
        )
        self.norm = nn.RMSNorm(dim, eps=NORM_EPS, elementwise_affine=False)
        self.clusters = CosineLinear(dim, out_channels)
        self.apply(xavier_uniform_linear)

    def forward(self, latent: Tensor, places: Tensor, hidden_places: Tensor) -> Tensor:
        """Predicts the patches at some places.

        Args:
            latent: (N, T, D), tokens of the visible patches and registers.
            places: (N, T, 2), their rows and columns in [0, 1].
            hidden_places: (N, P, 2), rows and columns of the patches to predict.

        Returns:
            Logits (N, P, C).
        """
        return self.clusters(self.decode(latent, places, hidden_places))

    def decode(self, latent: Tensor, places: Tensor, hidden_places: Tensor, num_blocks: int | None = None) -> Tensor:
        """Returns normalised latents (N, P, E) after ``num_blocks`` blocks, all if None; see ``forward``."""
        x = self.mask_token.expand(*hidden_places.shape[:2], -1)
        for block in self.blocks[:num_blocks]:
            x = block(x, hidden_places, latent, places)
        return self.norm(x)

"""The predictor of I-JEPA."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import to_2tuple, trunc_normal_
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import sincos_positions
from mmssl.registry import NECKS


@NECKS.register_module()
class JEPAPredictor(BaseModule):
    """Narrow transformer that predicts the features of blocks from the context (Assran et al., 2023, arXiv:2301.08243).

    A linear layer projects the context tokens and their positions are added. For each block the context is followed by
    one mask token, with its position, per patch of the block; blocks of one image do not see each other.

    Args:
        in_channels: Width D of the context tokens and of the predicted features.
        grid_size: Rows and columns of patches of a training image, or one number for both.
        embed_dim: Width of the predictor.
        depth: Number of transformer blocks.
        num_heads: Number of attention heads, that of the encoder in the official code.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        grid_size: int | tuple[int, int] = 14,
        embed_dim: int = 384,
        depth: int = 6,
        num_heads: int = 12,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.grid_size = to_2tuple(grid_size)
        self.in_channels = self.out_channels = in_channels
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        positions = sincos_positions(self.grid_size, embed_dim, 'column', torch.float64, prefix=0)

        self.embed = nn.Linear(in_channels, embed_dim)
        self.mask_token = nn.Parameter(trunc_normal_(torch.empty(1, 1, embed_dim), std=0.02))
        self.pos_embed = nn.Parameter(positions, requires_grad=False)
        self.blocks = nn.Sequential(
            *(Block(embed_dim, num_heads, qkv_bias=True, norm_layer=norm) for _ in range(depth))
        )
        self.norm = norm(embed_dim)
        self.predict = nn.Linear(embed_dim, in_channels)
        self.apply(truncated_normal_linear)

    def forward(self, latent: Tensor, context: Tensor, targets: Tensor) -> Tensor:
        """Predicts the patches of every target block.

        Args:
            latent: (N, K, D), tokens of the context.
            context: (N, K) int64, positions of the patches in the context.
            targets: (N, T, n) int64, positions of the patches in T target blocks.

        Returns:
            (N, T, n, D).
        """
        num_blocks, size = targets.shape[1:]
        positions = self.pos_embed.expand(len(latent), -1, -1)
        x = self.embed(latent) + select_patches(positions, context)  # (N, K, E)
        queries = self.mask_token + select_patches(positions, targets.flatten(1))  # (N, T * n, E)
        queries = queries.unflatten(1, (num_blocks, size)).flatten(0, 1)  # (N * T, n, E)
        x = torch.cat([x.repeat_interleave(num_blocks, dim=0), queries], dim=1)
        x = self.norm(self.blocks(x)[:, context.shape[1] :])
        return self.predict(x).unflatten(0, (-1, num_blocks))

"""The decoder of masked autoencoders."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import to_2tuple
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.patches import restore_patches
from mmssl.models.layers.positions import sincos_positions
from mmssl.registry import NECKS


@NECKS.register_module()
class MAEDecoder(BaseModule):
    """Transformer that predicts every patch from the visible ones (He et al., 2022, arXiv:2111.06377, Fig. 1).

    A linear layer projects the visible tokens, a mask token fills the places of the hidden patches, fixed sine-cosine
    positions are added, and blocks, a norm and a linear layer compute the prediction for each patch.

    Args:
        in_channels: Width D of the latent tokens; None leaves out the first linear layer, so that D must be
            ``embed_dim``.
        out_channels: Width P of the prediction for a patch, 3 * patch_size ** 2 for pixels.
        grid_size: Rows and columns of patches of a training image, or one number for both.
        embed_dim: Width of the decoder.
        depth: Number of blocks.
        num_heads: Number of attention heads of a block.
        mlp_ratio: Width of the hidden layer of a block's MLP divided by ``embed_dim``.
        num_prefix_tokens: Number of tokens before the latent patches, such as a class token; they take part in the
            attention and are not in the output.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int | None,
        out_channels: int = 768,
        grid_size: int | tuple[int, int] = 14,
        embed_dim: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
        num_prefix_tokens: int = 1,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.grid_size = to_2tuple(grid_size)
        self.num_prefix_tokens = num_prefix_tokens
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        positions = sincos_positions(self.grid_size, embed_dim, 'column', torch.float64, prefix=num_prefix_tokens)

        self.embed = nn.Identity() if in_channels is None else nn.Linear(in_channels, embed_dim)
        self.mask_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(positions, requires_grad=False)
        self.blocks = nn.Sequential(
            *(Block(embed_dim, num_heads, mlp_ratio, qkv_bias=True, norm_layer=norm) for _ in range(depth))
        )
        self.norm = norm(embed_dim)
        self.predict = nn.Linear(embed_dim, out_channels)
        nn.init.normal_(self.mask_token, std=0.02)
        self.apply(xavier_uniform_linear)

    def forward(self, latent: Tensor, keep: Tensor) -> Tensor:
        """Predicts every patch.

        Args:
            latent: (N, num_prefix_tokens + K, D), the prefix tokens and then the visible patches.
            keep: (N, K) int64, positions of the visible patches.

        Returns:
            (N, L, P), the patches in row-major order.
        """
        return self.predict(self.decode(latent, keep))

    def decode(self, latent: Tensor, keep: Tensor, fill: Tensor | None = None) -> Tensor:
        """Returns the tokens (N, L, embed_dim) from which ``predict`` predicts.

        Args:
            latent: (N, num_prefix_tokens + K, D), see ``forward``.
            keep: (N, K) int64, see ``forward``.
            fill: (1, 1, embed_dim), token put at every hidden patch; None uses the mask token.
        """
        prefix, visible = self.embed(latent).tensor_split([self.num_prefix_tokens], dim=1)
        patches = restore_patches(visible, keep, self.mask_token if fill is None else fill, prod(self.grid_size))
        x = torch.cat([prefix, patches], dim=1) + self.pos_embed
        return self.norm(self.blocks(x))[:, self.num_prefix_tokens :]

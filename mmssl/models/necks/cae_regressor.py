"""The latent contextual regressor of CAE."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import DropPath, Mlp, to_2tuple, trunc_normal_
from torch import Tensor, nn

from mmssl.models.layers.cross_attention import CrossAttention
from mmssl.models.layers.initialization import rescale_branches, truncated_at_std, xavier_uniform_linear
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import sincos_positions
from mmssl.registry import NECKS
from mmssl.utils.arguments import check_choices


class RegressorBlock(nn.Module):
    """Cross attention from hidden to all patches, then an MLP; a norm between them replaces the residual stream.

    Args:
        dim: Width E of a token.
        num_heads: Number of attention heads.
        layer_scale: Initial scale of the residual branches; 0 fixes it at 1, as in the official code.
        drop_path: Stochastic depth probability.
    """

    def __init__(self, dim: int, num_heads: int, layer_scale: float = 0.1, drop_path: float = 0.0) -> None:
        super().__init__()
        norm: Any = partial(nn.LayerNorm, dim, eps=1e-6)
        self.norm1_q, self.norm1_k, self.norm1_v, self.norm2_cross = norm(), norm(), norm(), norm()
        self.cross_attn = CrossAttention(dim, num_heads)
        self.mlp_cross = Mlp(dim, 4 * dim)
        scale, trains = layer_scale or 1.0, bool(layer_scale)
        self.gamma_1_cross = nn.Parameter(torch.full((dim,), scale), requires_grad=trains)
        self.gamma_2_cross = nn.Parameter(torch.full((dim,), scale), requires_grad=trains)
        self.drop_path = DropPath(drop_path)

    def forward(self, hidden: Tensor, visible: Tensor, hidden_places: Tensor, places: Tensor) -> Tensor:
        """Updates the tokens of hidden patches.

        Args:
            hidden: (N, H, E), tokens of the hidden patches.
            visible: (N, K, E), tokens of the visible patches.
            hidden_places: (N, H, E), positions of the hidden patches.
            places: (N, K + H, E), positions of the visible patches, then of the hidden patches.

        Returns:
            (N, H, E).
        """
        everything = torch.cat([visible, hidden], dim=1)  # the queries are keys and values, too
        attended = self.cross_attn(
            self.norm1_q(hidden + hidden_places), self.norm1_k(everything + places), self.norm1_v(everything)
        )
        x = self.norm2_cross(hidden + self.drop_path(self.gamma_1_cross * attended))
        return x + self.drop_path(self.gamma_2_cross * self.mlp_cross(x))


@NECKS.register_module()
class CAERegressor(BaseModule):
    """Predicts the latents of hidden patches from those of visible patches (Chen et al., 2022, arXiv:2202.03026).

    If the width differs from that of the encoder, a linear layer and a norm project the latents first.

    Args:
        in_channels: Width D of the encoder's latents.
        embed_dim: Width E of the regressor and of its prediction.
        grid_size: Rows and columns of patches of a training image, or one number for both.
        depth: Number of blocks.
        num_heads: Number of attention heads of a block.
        layer_scale: Initial scale of residual branches, 0.1 (base) or 1e-5 (large); 0 means no scale.
        drop_path_rate: Stochastic depth probability of the last block; it rises linearly from 0 at the first block.
        init: Initialisation: ``'xavier'`` or ``'beit'``, see ``CAEViT``.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``init`` is unknown.
    """

    positions: Tensor

    def __init__(
        self,
        in_channels: int = 768,
        embed_dim: int = 768,
        grid_size: int | tuple[int, int] = 14,
        depth: int = 4,
        num_heads: int = 12,
        layer_scale: float = 0.1,
        drop_path_rate: float = 0.0,
        init: str = 'xavier',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choices(init=(init, ('xavier', 'beit')))
        self.grid_size = to_2tuple(grid_size)
        self.in_channels, self.out_channels = in_channels, embed_dim
        self.embed: nn.Module = nn.Identity()
        if in_channels != embed_dim:
            self.embed = nn.Sequential(nn.Linear(in_channels, embed_dim), nn.LayerNorm(embed_dim, eps=1e-6))
        token = torch.empty(1, 1, embed_dim)
        self.mask_token = nn.Parameter(trunc_normal_(token, std=0.02, a=-0.02, b=0.02))
        rates = torch.linspace(0, drop_path_rate, depth, device='cpu').tolist()
        self.blocks = nn.ModuleList(RegressorBlock(embed_dim, num_heads, layer_scale, rate) for rate in rates)
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.register_buffer('positions', sincos_positions(self.grid_size, embed_dim, prefix=0), persistent=False)
        self.apply(truncated_at_std)
        rescale_branches(self.blocks, 'cross_attn', 'mlp_cross')
        if init == 'xavier':
            self.apply(xavier_uniform_linear)

    def forward(self, latent: Tensor, keep: Tensor, hidden: Tensor) -> Tensor:
        """Predicts the latents of the hidden patches.

        Args:
            latent: (N, 1 + K, D), class token first, which is not used, then the visible patches.
            keep: (N, K) int64, positions of the visible patches.
            hidden: (N, H) int64, positions of the hidden patches.

        Returns:
            (N, H, E), on the scale of ``project``.
        """
        visible = self.embed(latent[:, 1:])
        positions = self.positions.expand(len(latent), -1, -1)
        places = select_patches(positions, torch.cat([keep, hidden], dim=1))
        hidden_places = select_patches(positions, hidden)
        x = self.mask_token.expand(len(latent), hidden.shape[1], -1)
        for block in self.blocks:
            x = block(x, visible, hidden_places, places)
        return self.norm(x)

    def project(self, latent: Tensor) -> Tensor:
        """Returns the target (N, H, E) of the prediction for latents (N, 1 + H, D) of a teacher, class token first."""
        return self.embed(latent[:, 1:])

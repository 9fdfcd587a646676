"""The decoder of CAE and its two losses."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import to_2tuple
from torch import Tensor, nn

from mmssl.models.backbones.beit_vit import BEiTBlock
from mmssl.models.layers.initialization import rescale_branches, truncated_at_std, xavier_uniform_linear
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import sincos_positions
from mmssl.models.losses.masked_cross_entropy_loss import masked_cross_entropy
from mmssl.models.losses.masked_mse_loss import masked_mse
from mmssl.registry import HEADS
from mmssl.utils.arguments import check_choices


@HEADS.register_module()
class CAEHead(BaseModule):
    """Decodes predicted latents to words, and aligns them with the teacher's (Chen et al., 2022, arXiv:2202.03026).

    The decoder is transformer blocks, in which the hidden patches see each other only, a norm and a linear layer:

        loss       = cross entropy of the words, mean over the hidden patches
        loss_align = align_weight * mean (prediction - target)^2

    Args:
        in_channels: Width E of the predicted latents.
        num_words: Number C of words of the tokenizer.
        grid_size: Rows and columns of patches of a training image, or one number for both.
        depth: Number of blocks.
        num_heads: Number of attention heads of a block.
        layer_scale: Initial scale of residual branches, 0.1 (base) or 1e-5 (large); 0 means no scale.
        drop_path_rate: Stochastic depth probability of the last block; it rises linearly from 0 at the first block.
        align_weight: Weight of the alignment.
        init: Initialisation: ``'xavier'`` or ``'beit'``, see ``CAEViT``.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: ``init`` is unknown.
    """

    positions: Tensor

    def __init__(
        self,
        in_channels: int = 768,
        num_words: int = 8192,
        grid_size: int | tuple[int, int] = 14,
        depth: int = 4,
        num_heads: int = 12,
        layer_scale: float = 0.1,
        drop_path_rate: float = 0.0,
        align_weight: float = 2.0,
        init: str = 'xavier',
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choices(init=(init, ('xavier', 'beit')))
        self.in_channels, self.num_words = in_channels, num_words
        self.align_weight = align_weight
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        options: dict[str, Any] = dict(mlp_ratio=4, init_values=layer_scale, norm_layer=norm)
        rates = torch.linspace(0, drop_path_rate, depth, device='cpu').tolist()
        self.blocks = nn.ModuleList(
            BEiTBlock(in_channels, num_heads, grid=None, drop_path=rate, **options) for rate in rates
        )
        self.norm = norm(in_channels)
        self.predict = nn.Linear(in_channels, num_words)
        self.grid_size = to_2tuple(grid_size)
        table = sincos_positions(self.grid_size, in_channels, prefix=0)
        self.register_buffer('positions', table, persistent=False)
        self.apply(truncated_at_std)
        rescale_branches(self.blocks)
        if init == 'xavier':
            self.apply(xavier_uniform_linear)

    def decode(self, prediction: Tensor, hidden: Tensor) -> Tensor:
        """Returns logits (N, H, C) for predicted latents (N, H, E) of the patches ``hidden`` (N, H) int64."""
        x = prediction + select_patches(self.positions.expand(len(hidden), -1, -1), hidden)
        for block in self.blocks:
            x = block(x)
        return self.predict(self.norm(x))

    def forward(
        self, prediction: Tensor, target: Tensor, words: Tensor, hidden: Tensor, is_hidden: Tensor
    ) -> dict[str, Tensor]:
        """Returns both losses and ``accuracy``, the share of correctly predicted words.

        Args:
            prediction: (N, H, E), predicted latents.
            target: (N, H, E), the teacher's latents, without gradient.
            words: (N, H) int64 in [0, C), words of the patches.
            hidden: (N, H) int64, positions of the patches.
            is_hidden: (N, H) bool, the patches that count.
        """
        logits = self.decode(prediction, hidden)
        is_right = (logits.argmax(dim=-1) == words) & is_hidden
        return dict(
            loss=masked_cross_entropy(logits, words, is_hidden),
            loss_align=self.align_weight * masked_mse(prediction, target, is_hidden),
            accuracy=is_right.sum() / is_hidden.sum().clamp(min=1),
        )

"""The decoder of MAE for the backbone HiViT."""

from __future__ import annotations

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.necks.mae_decoder import MAEDecoder
from mmssl.registry import NECKS


@NECKS.register_module()
class HiViTDecoder(BaseModule):
    """Decoder of MAE whose input is the output of all three stages of HiViT (arXiv:2205.14949, section 3.3).

    A unit is a patch of stage 3. Its 16 positions in stage 1, 4 positions in stage 2 and token of stage 3 are
    concatenated to ``16 C / 4 + 4 C / 2 + C = 7 C`` numbers and normalised; the official code calls this ``hifeat``.

    Args:
        in_channels: Width C of stage 3.
        out_channels: Width P of the prediction for a unit, 3 * patch_size ** 2 for pixels.
        grid_size: Rows and columns of units of a training image, or one number for both.
        embed_dim: Width of the decoder.
        depth: Number of blocks.
        num_heads: Number of attention heads of a block.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int = 768,
        grid_size: int | tuple[int, int] = 14,
        embed_dim: int = 512,
        depth: int = 6,
        num_heads: int = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.norm = nn.LayerNorm(7 * in_channels, eps=1e-6)
        self.decoder = MAEDecoder(
            7 * in_channels, out_channels, grid_size, embed_dim, depth, num_heads, num_prefix_tokens=0
        )
        self.apply(truncated_normal_linear)

    def forward(self, stages: tuple[Tensor, ...], keep: Tensor) -> Tensor:
        """Predicts every unit.

        Args:
            stages: Output of the encoder's three stages for the visible units, (N, K, ...) each.
            keep: (N, K) int64, positions of the visible units.

        Returns:
            (N, L, P), the units in row-major order.
        """
        latent = torch.cat([stage.flatten(2) for stage in stages], dim=-1)  # (N, K, 7 C)
        return self.decoder(self.norm(latent), keep)

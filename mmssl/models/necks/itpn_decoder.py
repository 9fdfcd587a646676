"""The decoder of iTPN's pixel pre-training."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.necks.mae_decoder import MAEDecoder
from mmssl.registry import NECKS


class LevelEmbedding(nn.Module):
    """One token per unit of each level of a pyramid, summed: a norm and a linear layer for each level.

    A position of P4, P8 and P16 becomes D / 16, D / 4 and D wide, so that the 16, 4 and 1 of a unit, one after the
    other, make D.

    Args:
        in_channels: Width f of the levels.
        embed_dim: Width D of the tokens, a multiple of 16.
        eps: Added to the variance in norms.
    """

    def __init__(self, in_channels: int, embed_dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(in_channels, eps=eps), nn.Linear(in_channels, embed_dim // cells))
            for cells in (16, 4, 1)
        )

    def forward(self, pyramid: tuple[Tensor, ...]) -> Tensor:
        """Returns (N, K, D) of P4, P8, P16 by unit, (N, K, 4, 4, f), (N, K, 2, 2, f), (N, K, 1, 1, f)."""
        fine, middle, coarse = self.streams(pyramid)
        return coarse + middle + fine

    def streams(self, pyramid: tuple[Tensor, ...]) -> list[Tensor]:
        """Returns (N, K, D) for each level, before they are added; the argument is as in ``forward``."""
        return [embed(level).flatten(2) for embed, level in zip(self.levels, pyramid)]


@NECKS.register_module()
class ITPNDecoder(BaseModule):
    """Pyramid, and a transformer that predicts every unit from all levels (Tian et al., arXiv:2211.12735v1, Fig. 1).

    Mask tokens join every level before the levels are added, as in the official code: a hidden unit begins as three
    times the mask token, at its position.

    Args:
        pyramid: Config of the pyramid, which a detector takes over from below ``neck.pyramid``.
        out_channels: Width P of the prediction of a unit, 3 * patch_size ** 2 for pixels.
        grid_size: Rows and columns of units of a training image, or one number for both.
        embed_dim: Width of the decoder, a multiple of 16.
        depth: Number of blocks.
        num_heads: Attention heads of a block.
        init_cfg: MMEngine's initialisation config.
    """

    def __init__(
        self,
        pyramid: dict,
        out_channels: int = 768,
        grid_size: int | tuple[int, int] = 14,
        embed_dim: int = 512,
        depth: int = 8,
        num_heads: int = 16,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.embed_dim = embed_dim
        self.pyramid: Any = NECKS.build(pyramid)
        self.embed = LevelEmbedding(self.pyramid.out_channels, embed_dim)
        self.decoder = MAEDecoder(None, out_channels, grid_size, embed_dim, depth, num_heads, num_prefix_tokens=0)
        self.apply(truncated_normal_linear)

    def forward(self, stages: tuple[Tensor, ...], keep: Tensor) -> Tensor:
        """Predicts every unit.

        Args:
            stages: The visible units (N, K, ...) after the stages of the encoder.
            keep: (N, K) int64, positions of the visible units.

        Returns:
            (N, L, P), the units in row-major order.
        """
        return self.predict(self.decode(stages, keep))

    def decode(self, stages: tuple[Tensor, ...], keep: Tensor) -> Tensor:
        """Returns the tokens (N, L, embed_dim) that predictions are made of; arguments as in ``forward``."""
        visible = self.embed(self.pyramid(stages))  # (N, K, embed_dim)
        return self.decoder.decode(visible, keep, fill=3 * self.decoder.mask_token)

    def decode_levels(self, stages: tuple[Tensor, ...], keep: Tensor) -> dict[str, Tensor]:
        """Returns tokens as ``decode`` does, made of each level alone and of all, for looking at them.

        To show one level, the two others are replaced by their mean over the visible units of the image, so that the
        inputs of the decoder stay in distribution and differ between units in one level alone.
        """
        streams = self.embed.streams(self.pyramid(stages))  # (N, K, embed_dim) each
        means = [stream.mean(dim=1, keepdim=True) for stream in streams]
        visible: dict[str, Any] = {
            f'P{size}': stream - mean + sum(means) for size, stream, mean in zip((4, 8, 16), streams, means)
        }
        visible['all levels'] = sum(streams)
        fill = 3 * self.decoder.mask_token
        return {name: self.decoder.decode(tokens, keep, fill) for name, tokens in visible.items()}

    def predict(self, tokens: Tensor) -> Tensor:
        """Returns the prediction (N, L, P) that is made of tokens (N, L, embed_dim)."""
        return self.decoder.predict(tokens)

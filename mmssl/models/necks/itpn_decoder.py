"""The decoder of iTPN for the pre-training on pixels."""

from __future__ import annotations

from typing import Any

from mmengine.model import BaseModule
from torch import Tensor, nn

from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.necks.mae_decoder import MAEDecoder
from mmssl.registry import NECKS


class LevelEmbedding(nn.Module):
    """Sum over the levels of a pyramid of one token per unit, made by a norm and a linear layer for each level.

    A unit has 16 positions in P4, 4 in P8 and 1 in P16. The linear layers map a position to D / 16, D / 4 and D
    numbers, so that the concatenated positions of a unit have D numbers in each level.

    Args:
        in_channels: Width f of a position in every level.
        embed_dim: Width D of the tokens, a multiple of 16.
        eps: Number added to the variance in the norms.
    """

    def __init__(self, in_channels: int, embed_dim: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.levels = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(in_channels, eps=eps), nn.Linear(in_channels, embed_dim // cells))
            for cells in (16, 4, 1)
        )

    def forward(self, pyramid: tuple[Tensor, ...]) -> Tensor:
        """Returns tokens (N, K, D).

        Args:
            pyramid: P4, P8 and P16 by unit: (N, K, 4, 4, f), (N, K, 2, 2, f), (N, K, 1, 1, f).
        """
        fine, middle, coarse = self.streams(pyramid)
        return coarse + middle + fine

    def streams(self, pyramid: tuple[Tensor, ...]) -> list[Tensor]:
        """Returns the tokens (N, K, D) of each level, before they are added; see ``forward``."""
        return [embed(level).flatten(2) for embed, level in zip(self.levels, pyramid)]


@NECKS.register_module()
class ITPNDecoder(BaseModule):
    """Pyramid and transformer that predict every unit from all levels (Tian et al., arXiv:2211.12735v1, Fig. 1).

    The official code fills hidden units with the mask token in each of the three levels, and then adds the levels. A
    hidden unit is therefore three times the mask token.

    Args:
        pyramid: Config of the pyramid. A detector loads its weights from the names that begin with ``neck.pyramid.``.
        out_channels: Width P of the prediction for a unit, 3 * patch_size ** 2 for pixels.
        grid_size: Rows and columns of units of a training image, or one number for both.
        embed_dim: Width of the decoder, a multiple of 16.
        depth: Number of blocks.
        num_heads: Number of attention heads of a block.
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
            stages: Output of the encoder's three stages for the visible units, (N, K, ...) each.
            keep: (N, K) int64, positions of the visible units.

        Returns:
            (N, L, P), the units in row-major order.
        """
        return self.predict(self.decode(stages, keep))

    def decode(self, stages: tuple[Tensor, ...], keep: Tensor) -> Tensor:
        """Returns the tokens (N, L, embed_dim) from which ``predict`` predicts; arguments as in ``forward``."""
        visible = self.embed(self.pyramid(stages))  # (N, K, embed_dim)
        return self.decoder.decode(visible, keep, fill=3 * self.decoder.mask_token)

    def decode_levels(self, stages: tuple[Tensor, ...], keep: Tensor) -> dict[str, Tensor]:
        """Decodes each level of the pyramid alone, for figures.

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
        """Returns the prediction (N, L, P) for tokens (N, L, embed_dim)."""
        return self.decoder.predict(tokens)

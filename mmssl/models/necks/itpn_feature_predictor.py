"""Predictor of a teacher's features from iTPN's pyramid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmengine.model import BaseModule
from timm.layers import to_2tuple
from torch import Tensor, nn

from mmssl.models.layers.hivit_blocks import Places, attention_block, pair_index
from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.necks.itpn_decoder import LevelEmbedding
from mmssl.registry import NECKS


@NECKS.register_module()
class ITPNFeaturePredictor(BaseModule):
    """Pyramid, and two predictions of a teacher's feature for each unit (Tian et al., 2023, arXiv:2211.12735v1).

    The first prediction is computed from all levels of the pyramid. The second is computed from the tokens of an
    earlier encoder block, which pass through additional attention blocks. Only the second does not see the hidden
    units: the encoder computes its fine stages from the whole image, before it inserts mask tokens.

    Args:
        pyramid: Config of the pyramid. A detector loads its weights from the names that begin with ``neck.pyramid.``.
        embed_dim: Width C of the encoder's tokens, a multiple of 16.
        out_channels: Width P of the teacher's features.
        grid_size: Rows and columns of units of a training image, or one number for both.
        num_heads: Number of attention heads of an additional block.
        drop_path_rates: Stochastic depth probability of each additional block; its length is the number of blocks.
        layer_scale: Layer scale of the additional blocks, see ``HiViT``.
        position_bias: Position bias of the additional blocks, see ``HiViT``.
        early_eps: Number added to the variance in the norms of the additional blocks; torch's default, as in the
            official code.
        init_cfg: MMEngine's initialisation config.
    """

    _pairs: Tensor

    def __init__(
        self,
        pyramid: dict,
        embed_dim: int,
        out_channels: int,
        grid_size: int | tuple[int, int] = 14,
        num_heads: int = 8,
        drop_path_rates: Sequence[float] = (0.0, 0.0),
        layer_scale: float | None = 0.1,
        position_bias: str = 'table',
        early_eps: float = 1e-5,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.grid_size = to_2tuple(grid_size)
        self.pyramid: Any = NECKS.build(pyramid)
        self.embed = LevelEmbedding(self.pyramid.out_channels, embed_dim)
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.predict = nn.Linear(embed_dim, out_channels)
        self.early_blocks = nn.ModuleList(
            attention_block(embed_dim, num_heads, self.grid_size, position_bias, layer_scale, rate, early_eps)
            for rate in drop_path_rates
        )
        self.early_norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self.early_predict = nn.Linear(embed_dim, out_channels)
        self.register_buffer('_pairs', pair_index(self.grid_size), persistent=False)
        self.apply(truncated_normal_linear)

    def forward(self, stages: tuple[Tensor, ...], early: Tensor) -> tuple[Tensor, Tensor]:
        """Predicts the features of every unit twice.

        Args:
            stages: Output of the encoder's three stages for all units, (N, L, ...) each.
            early: (N, L, C), the tokens after an earlier block of the encoder.

        Returns:
            Two predictions (N, L, P): from the pyramid, and from the early tokens.
        """
        tokens = self.embed(self.pyramid(stages))  # (N, L, C)
        for block in self.early_blocks:
            early = block(early, Places(self.grid_size, None, self._pairs))
        return self.predict(self.norm(tokens)), self.early_predict(self.early_norm(early))

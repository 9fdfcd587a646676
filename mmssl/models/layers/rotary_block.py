"""The transformer block of CAPI (arXiv:2502.08769)."""

from __future__ import annotations

from timm.layers import DropPath, Mlp
from torch import Tensor, nn

from mmssl.models.layers.batch_subset_block import add_branch
from mmssl.models.layers.rotary_attention import RotaryAttention

NORM_EPS = 1e-5


class RotaryBlock(nn.Module):
    """Root-mean-square norms before rotary attention and MLP, without any bias; stochastic depth by batch subsets.

    Args:
        dim: Width D of a token.
        num_heads: Number of attention heads.
        mlp_ratio: Hidden width of the MLP / D.
        context_dim: Width of the context to which the block attends; None means D.
        drop_path: Stochastic depth probability, see ``BatchSubsetBlock``.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        mlp_ratio: float = 4.0,
        context_dim: int | None = None,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(dim, eps=NORM_EPS)
        self.attn = RotaryAttention(dim, num_heads, context_dim)
        self.norm2 = nn.RMSNorm(dim, eps=NORM_EPS)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), bias=False)
        self.drop_path = DropPath(drop_path)  # only its rate is used, which a teacher sets to 0

    def forward(
        self, x: Tensor, places: Tensor, context: Tensor | None = None, context_places: Tensor | None = None
    ) -> Tensor:
        """Returns tokens (N, T, D); the arguments are those of ``RotaryAttention``."""
        rate = self.drop_path.drop_prob if self.training else 0.0
        given = [places] if context is None or context_places is None else [places, context, context_places]
        x = add_branch(x, lambda x, *given: self.attn(self.norm1(x), *given), rate, *given)
        return add_branch(x, lambda x: self.mlp(self.norm2(x)), rate)

"""The convolution block of ConvMAE, in which hidden places do not reach visible ones."""

from __future__ import annotations

from timm.layers import DropPath, LayerNorm2d, Mlp
from torch import Tensor, nn


class MaskedConvBlock(nn.Module):
    """Depthwise convolution and MLP with residual connections (Gao et al., 2022, arXiv:2205.03892, section 3.2).

    ``x + conv2(attn(visible * conv1(norm1(x))))``, then ``x + mlp(norm2(x))``; ``attn`` is the depthwise convolution of
    5 x 5. Everything else works on single positions, so the product with ``visible`` keeps what is hidden away from
    what is visible. The norms have an epsilon of 1e-5.

    Args:
        dim: Channels C.
        drop_path: Stochastic depth probability.
    """

    def __init__(self, dim: int, drop_path: float = 0.0) -> None:
        super().__init__()
        self.norm1 = LayerNorm2d(dim, eps=1e-5)
        self.conv1 = nn.Conv2d(dim, dim, 1)
        self.attn = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.conv2 = nn.Conv2d(dim, dim, 1)
        self.norm2 = LayerNorm2d(dim, eps=1e-5)
        self.mlp = Mlp(dim, 4 * dim, use_conv=True)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor, visible: Tensor | None = None) -> Tensor:
        """Returns maps of the shape of ``x``.

        Args:
            x: (N, C, H, W).
            visible: (N, 1, H, W), 1 = visible and 0 = hidden; None means that everything is visible.
        """
        inner = self.conv1(self.norm1(x))
        inner = inner if visible is None else inner * visible
        x = x + self.drop_path(self.conv2(self.attn(inner)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

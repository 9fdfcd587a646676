"""The attentive probe of CAE."""

from __future__ import annotations

from typing import Any

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn

from mmssl.models.heads.linear_cls_head import LinearClsHead
from mmssl.models.layers.cross_attention import CrossAttention
from mmssl.models.layers.initialization import truncated_at_std
from mmssl.registry import HEADS


@HEADS.register_module()
class AttentiveClsHead(LinearClsHead):
    """A learned query attends to all tokens, then a batch norm and a linear layer (Chen et al., 2022, arXiv:2202.03026,
    section 4).

    The attention has neither a residual connection nor an MLP. The batch norm has no scale and no offset. The official
    module has another norm, ``norm2_cross``, which it does not use and which is left out here.

    Args:
        in_channels: Width D of the tokens.
        num_classes: Number of classes C.
        num_heads: Number of attention heads.
        **options: Other arguments of ``LinearClsHead``, without ``norm``.
    """

    def __init__(self, in_channels: int, num_classes: int, num_heads: int = 12, **options: Any) -> None:
        super().__init__(in_channels, num_classes, norm='batch', **options)
        self.norm = nn.BatchNorm1d(in_channels, affine=False)  # with an epsilon of 1e-5
        self.query_token = nn.Parameter(trunc_normal_(torch.empty(1, 1, in_channels), std=0.02, a=-0.02, b=0.02))
        self.norm_q, self.norm_k, self.norm_v = (nn.LayerNorm(in_channels, eps=1e-6) for _ in range(3))
        self.attn = CrossAttention(in_channels, num_heads)
        self.attn.apply(truncated_at_std)

    def predict(self, features: Tensor) -> Tensor:  # type: ignore[override]
        """Returns logits (N, C) for tokens (N, L, D)."""
        query = self.norm_q(self.query_token.expand(len(features), -1, -1))
        return super().predict(self.attn(query, self.norm_k(features), self.norm_v(features))[:, 0])

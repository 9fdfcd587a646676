"""Pooling of a transformer's tokens to one vector per image."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mmssl.registry import NECKS

PARTS = ('cls', 'mean')


@NECKS.register_module()
class TokenPool(nn.Module):
    """Concatenates the class token and the mean of the patch tokens, as DINO's linear probe of ViT-B does.

    Args:
        parts: ``'cls'``, ``'mean'`` or both, in the order of the vector.
        num_prefix_tokens: Number of tokens before the patches: the class token, and registers if there are any.

    Raises:
        ValueError: ``parts`` is empty or names something else, or names a class token and there is none.
    """

    def __init__(self, parts: Sequence[str] = PARTS, num_prefix_tokens: int = 1) -> None:
        super().__init__()
        if not parts or not set(parts) <= set(PARTS):
            raise ValueError(f'parts must be some of {PARTS}, got {parts}')
        if 'cls' in parts and num_prefix_tokens < 1:
            raise ValueError(f"num_prefix_tokens={num_prefix_tokens} leaves no class token: set parts=('mean',)")
        self.parts = tuple(parts)
        self.num_prefix_tokens = num_prefix_tokens

    def forward(self, tokens: Tensor) -> Tensor:
        """Returns vectors (N, D * number of parts) for tokens (N, num_prefix_tokens + L, D), class token
        first."""
        pooled = dict(cls=tokens[:, 0], mean=tokens[:, self.num_prefix_tokens :].mean(dim=1))
        return torch.cat([pooled[part] for part in self.parts], dim=1)

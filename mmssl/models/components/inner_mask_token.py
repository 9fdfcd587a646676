"""A mask token that is added inside a backbone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from timm.layers import trunc_normal_
from torch import Tensor, nn


class InnerMaskToken(nn.Module):
    """Adds a learned token to the hidden positions of a layer's output (Li et al., 2023, arXiv:2205.13943).

    ``y = x`` at visible positions and ``y = gamma x + token`` at hidden ones, per channel; ``x + token`` without gamma.
    The backbone itself is not changed: a hook on the layer adds the token while ``added`` is active.

    Args:
        layer: Name of the layer in the backbone: ``'layer3'`` of a ``ResNet``, ``'patch_embed'`` of a ViT. Its
            output is a map (N, C, h, w) or tokens (N, L, C) without a class token.
        channels: Number C of channels of this output.
        gamma: Initial value of the scale of hidden features; None has no scale and keeps the features.
    """

    def __init__(self, layer: str, channels: int, gamma: float | None = None) -> None:
        super().__init__()
        self.layer = layer
        self.token = nn.Parameter(trunc_normal_(torch.empty(channels), std=0.02))
        self.gamma = None if gamma is None else nn.Parameter(torch.full((channels,), gamma))

    @contextmanager
    def added(self, backbone: nn.Module, mask: Tensor, grid: tuple[int, int]) -> Iterator[None]:
        """Adds the token to the output of the layer of ``backbone``, while the context is active.

        Args:
            backbone: Network with the layer.
            mask: (N, L) bool, True = hidden.
            grid: Rows and columns of the mask; their product is L.

        Raises:
            ValueError: The backbone has no layer of this name.
        """
        layer = dict(backbone.named_modules()).get(self.layer)
        if layer is None:
            raise ValueError(f'{type(backbone).__name__} has no layer {self.layer!r}, to whose output a token is added')
        hook = layer.register_forward_hook(lambda module, args, x: self(x, mask, grid))
        try:
            yield
        finally:
            hook.remove()

    def forward(self, x: Tensor, mask: Tensor, grid: tuple[int, int]) -> Tensor:
        """Adds the token to the hidden positions of ``x``.

        Args:
            x: Map (N, C, h, w) with h and w multiples of the rows and columns of the mask, or tokens (N, L, C).
            mask: (N, L) bool, True = hidden.
            grid: Rows and columns of the mask.

        Returns:
            Tensor of the shape and dtype of ``x``.

        Raises:
            ValueError: ``x`` has other channels than the token, or its positions do not fit the mask.
        """
        is_map = x.ndim == 4
        channels = x.shape[1] if is_map else x.shape[-1]
        if channels != len(self.token):
            raise ValueError(f'layer {self.layer!r} has {channels} channels: set model.mask_token.channels={channels}')
        if is_map:
            size = tuple(x.shape[-2:])
            if size[0] % grid[0] or size[1] % grid[1]:
                raise ValueError(
                    f'the output of layer {self.layer!r} has {size[0]} x {size[1]} positions, and the mask {grid[0]} x '
                    f'{grid[1]} patches, which must divide them: set model.masker.patch_size'
                )
            rows, columns = size[0] // grid[0], size[1] // grid[1]
            hidden = mask.unflatten(1, grid).repeat_interleave(rows, dim=1).repeat_interleave(columns, dim=2)
            hidden = hidden.unsqueeze(1)  # (N, 1, h, w)
        else:
            if x.shape[1] != mask.shape[1]:
                raise ValueError(
                    f'the output of layer {self.layer!r} has {x.shape[1]} tokens, and the mask {mask.shape[1]} '
                    'patches: name a layer without class token, such as patch_embed, and set model.masker.patch_size'
                )
            hidden = mask.unsqueeze(-1)  # (N, L, 1)
        shape = (-1, 1, 1) if is_map else (-1,)
        token = self.token.to(x.dtype).view(shape)
        covered = x if self.gamma is None else x * self.gamma.to(x.dtype).view(shape)
        return torch.where(hidden, covered + token, x)

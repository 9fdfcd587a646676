"""Swin that encodes visible patches only, as in GreenMIM."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from timm.models.swin_transformer import SwinTransformerBlock
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from mmssl.models.backbones.timm_backbone import TimmBackbone
from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.patches import patchify
from mmssl.models.layers.window_groups import WindowGroups, window_groups
from mmssl.registry import BACKBONES


class GroupedBlock(SwinTransformerBlock):
    """timm's block of Swin, which also takes tokens that are sorted into groups of windows."""

    def forward(self, x: Tensor, groups: WindowGroups | None = None) -> Tensor:
        """Returns tokens (N, K, C) for tokens (N, K, C) and their ``groups``; without groups see timm's block."""
        return super().forward(x) if groups is None else self.forward_groups(x, groups)

    @torch.compiler.disable  # the sizes of groups change at every step, and each would be compiled again
    def forward_groups(self, x: Tensor, groups: WindowGroups) -> Tensor:
        """Returns tokens (N, K, C) for tokens (N, K, C)."""
        layers: Any = self
        x = x + layers.drop_path1(grouped_attention(layers.attn, layers.norm1(x), groups))
        return x + layers.drop_path2(layers.mlp(layers.norm2(x)))


@BACKBONES.register_module()
class GroupedSwin(TimmBackbone):
    """timm's Swin, which can run on visible patches alone (Huang et al., 2022, arXiv:2205.13515).

    Hidden units, squares of patches that merge to one token of the last stage, are dropped before the first stage.
    Attention runs within the windows of the whole map: windows with unequal numbers of visible tokens are packed into
    groups of one size, and a mask separates the windows of a group. The result equals Swin's attention with hidden
    tokens masked. All images of a batch share their visible units. A checkpoint has the names of ``TimmBackbone``. The
    norms add 1e-6 to the variance, as in the official code, and those of a ``TimmBackbone`` add 1e-5. Initial weights
    are Xavier uniform, as in the official code, and not timm's. Compiling the blocks has no effect on visible patches,
    because the sizes of groups change at every step.

    Args:
        name: Name of a Swin in ``timm.list_models()``.
        init_cfg: MMEngine's initialisation config.
        **kwargs: Arguments of ``timm.create_model``, such as ``img_size`` or ``window_size``.

    Raises:
        ValueError: timm has no model of this name, or the model is not a Swin.
    """

    def __init__(self, name: str, init_cfg: dict | None = None, **kwargs: Any) -> None:
        kwargs = {'norm_layer': partial(nn.LayerNorm, eps=1e-6), 'drop_path_rate': 0.0, **kwargs}
        super().__init__(name, pool=False, init_cfg=init_cfg, **kwargs)
        if not hasattr(self.model, 'layers') or not hasattr(self.patch_embed, 'norm'):
            raise ValueError(f'GroupedSwin needs a Swin of timm, and {name} is a {type(self.model).__name__}')
        for stage in self.model.layers:
            for block in stage.blocks:
                block.__class__ = GroupedBlock  # timm's block with another ``forward``
        if not kwargs.get('pretrained'):
            self.apply(xavier_uniform_linear)
            nn.init.xavier_uniform_(self.patch_embed.proj.weight.data.flatten(1))
        self.unit = 2 ** (len(self.model.layers) - 1)  # side of a unit in patches

    def forward(
        self,
        images: Tensor,
        mask: Tensor | None = None,
        mask_token: Tensor | None = None,
        keep: Sequence[int] | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Encodes the visible units, or whole images as ``TimmBackbone`` does.

        Args:
            images: (N, 3, H, W), normalised.
            mask: (N, L) bool, see ``TimmBackbone``; not with ``keep``.
            mask_token: (1, 1, ``embed_dim``), needed with ``mask``.
            keep: Positions of the visible units, ascending, in row-major order of all units: K numbers on the host, the
                same for all images; None encodes whole images.

        Returns:
            Tokens (N, K, D) in the order of ``keep``, or a tuple with the last map (N, D, h, w).
        """
        if keep is None:
            return super().forward(images, mask, mask_token)
        patch = self.patch_embed.proj.kernel_size[0]
        columns = images.shape[-1] // patch
        places = visible_places(keep, columns // self.unit, self.unit)  # (K', 2), rows and columns of patches
        index = torch.from_numpy(places[:, 0] * columns + places[:, 1]).to(images.device, non_blocking=True)
        x = patchify(images, patch).index_select(1, index)
        weight = self.patch_embed.proj.weight.permute(0, 2, 3, 1).flatten(1)  # (row, column, channel) as in a patch
        x = self.patch_embed.norm(linear(x, weight, self.patch_embed.proj.bias))
        for number, stage in enumerate(self.model.layers):
            if number:
                x, places = self._merge(stage.downsample, x, places)
            plans: dict[tuple[int, int], WindowGroups] = {}
            for block in stage.blocks:
                windows = block.window_size[0], block.shift_size[0]
                if windows not in plans:
                    plans[windows] = window_groups(places, *windows).to(x.device)
                x = block(x, plans[windows])
        return self.model.norm(x)

    @staticmethod
    def _merge(layer: Any, x: Tensor, places: np.ndarray) -> tuple[Tensor, np.ndarray]:
        """Merges squares of 2 x 2 visible tokens (N, K, C), in Swin's order, to (N, K / 4, 2 C) tokens."""
        columns = places[:, 1].max() // 2 + 1
        square = places[:, 0] // 2 * columns + places[:, 1] // 2
        corner = places[:, 1] % 2 * 2 + places[:, 0] % 2  # top left, bottom left, top right, bottom right
        order = np.lexsort((corner, square))
        index = torch.from_numpy(order).to(x.device, non_blocking=True)
        x = x.index_select(1, index).unflatten(1, (-1, 4)).flatten(2)  # (N, K / 4, 4 C)
        return layer.reduction(layer.norm(x)), places[order[::4]] // 2


def visible_places(keep: Sequence[int], columns: int, unit: int) -> np.ndarray:
    """Returns rows and columns (K', 2) of the patches of visible units, in row-major order of the map.

    Args:
        keep: Positions of the visible units in row-major order.
        columns: Columns of units.
        unit: Side of a unit in patches.
    """
    units = np.asarray(keep, dtype=np.int64)
    inner = np.stack(np.meshgrid(np.arange(unit), np.arange(unit), indexing='ij'), axis=-1).reshape(-1, 2)
    corners = np.stack([units // columns, units % columns], axis=-1) * unit
    places = (corners[:, None] + inner).reshape(-1, 2)
    return places[np.lexsort((places[:, 1], places[:, 0]))]


def grouped_attention(attention: Any, x: Tensor, groups: WindowGroups) -> Tensor:
    """Window attention of timm's ``WindowAttention`` on tokens that are sorted into groups.

    Args:
        attention: timm's module.
        x: (N, K, C), normalised tokens.
        groups: Groups of the K tokens.

    Returns:
        (N, K, C).
    """
    heads, (num_groups, size) = attention.num_heads, groups.tokens.shape
    qkv = attention.qkv(x).index_select(1, groups.tokens.flatten())  # (N, G g, 3 C)
    qkv = qkv.unflatten(2, (3, heads, -1)).unflatten(1, (num_groups, size))
    query, key, value = qkv.permute(3, 0, 1, 4, 2, 5).unbind()  # (N, G, heads, g, width)
    bias = attention.relative_position_bias_table[groups.offsets].permute(0, 3, 1, 2)  # (G, heads, g, g)
    bias = bias.to(query.dtype).masked_fill(~groups.allowed, float('-inf'))
    x = scaled_dot_product_attention(query, key, value, attn_mask=bias)
    x = x.transpose(2, 3).flatten(3).flatten(1, 2)  # (N, G g, C)
    return attention.proj(x.index_select(1, groups.places))

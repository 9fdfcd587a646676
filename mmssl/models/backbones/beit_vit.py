"""Vision transformer with relative positions, as in BEiT and SimMIM, built from timm's blocks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import PatchEmbed, to_2tuple, trunc_normal_
from timm.models.beit import Attention, Block
from torch import Tensor, nn
from torch.nn.functional import linear, scaled_dot_product_attention

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.checkpoints.grids import describe_grid, known_grid
from mmssl.models.backbones.vision_transformer import resolve_arch
from mmssl.models.layers.initialization import rescale_branches, truncated_at_std
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loading import skip_on_load
from mmssl.models.layers.patches import hide_patches
from mmssl.models.layers.relative_positions import (
    CLS_ROWS,
    num_relative_positions,
    relative_index,
    resize_relative_table,
    square_grid,
)
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_block_indices, check_choices

_TABLE = 'relative_position_bias_table'
_SHARED_TABLE = f'rel_pos_bias.{_TABLE}'


class RelativeTable(nn.Module):
    """A learned bias per relative position and head, initialised with 0.

    Args:
        grid: Rows and columns of patches.
        num_heads: Number of attention heads.
    """

    def __init__(self, grid: tuple[int, int], num_heads: int) -> None:
        super().__init__()
        rows = num_relative_positions(grid) + CLS_ROWS
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, num_heads))


class BiasedAttention(Attention):
    """timm's attention of BEiT with the position bias as an argument of ``forward``, for images of any size.

    The projections of queries and values have a learned bias, that of keys has none.

    Args:
        dim: Width D of a token.
        num_heads: Number of attention heads.
        grid: Rows and columns of patches, for which this block gets a table of its own; None means no table.
    """

    def __init__(self, dim: int, num_heads: int, grid: tuple[int, int] | None) -> None:
        super().__init__(dim, num_heads, qkv_bias=True)
        if grid is not None:
            self.relative_position_bias_table = RelativeTable(grid, num_heads).relative_position_bias_table

    def forward(self, x: Tensor, shared_rel_pos_bias: Tensor | None = None) -> Tensor:
        """Returns tokens (N, L, D) for tokens (N, L, D) and a bias (heads, L, L) of the scaled scores."""
        bias = torch.cat([self.q_bias, torch.zeros_like(self.v_bias), self.v_bias])
        qkv = linear(x, self.qkv.weight, bias).unflatten(2, (3, self.num_heads, -1))  # (N, L, 3, heads, width)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind()
        x = scaled_dot_product_attention(query, key, value, attn_mask=shared_rel_pos_bias)
        return self.proj(x.transpose(1, 2).flatten(2))


class BEiTBlock(Block):
    """timm's block of BEiT with ``BiasedAttention``; ``grid`` is None if all blocks share a table."""

    def __init__(self, dim: int, num_heads: int, *, grid: tuple[int, int] | None, **options: Any) -> None:
        super().__init__(dim, num_heads, **options)
        self.attn = BiasedAttention(dim, num_heads, grid)


@BACKBONES.register_module()
class BEiTViT(OrderedLayers, BaseModule):
    """Vision transformer with relative positions only (Bao et al., 2022, arXiv:2106.08254), with official names.

    Every attention has a bias for each relative position, from one shared table in pre-training or from one table per
    block in fine-tuning; a checkpoint with a shared table is copied to every block. Residual branches have a learned
    scale (LayerScale). ``resize_relative_table`` resizes the tables for images or checkpoints of another size. Images
    are padded at the bottom and on the right to whole patches.

    Args:
        arch: Architecture, see ``VisionTransformer``; a dict has no ``registers``, ``ffn`` or ``layer_scale``.
        img_size: Side of the images in pixels, or (height, width).
        patch_size: Side of a patch in pixels.
        output: Output: ``'cls'``, ``'mean'``, ``'tokens'`` or ``'maps'``, see ``VisionTransformer``.
        out_indices: Blocks whose outputs are the maps, see ``VisionTransformer``.
        relative_table: Table of relative positions: ``'shared'`` by all blocks, ``'per-block'`` or ``'none'``.
        layer_scale: Initial scale of residual branches, 0.1 (base) or 1e-5 (large); 0 means no scale.
        drop_path_rate: Stochastic depth probability of the last block; it rises linearly from 0 at the first block.
        final_norm: Whether a norm follows the last block, see ``VisionTransformer``.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    undecayed = {'cls_token'}  # the official code applies weight decay to its relative tables

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        output: str = 'cls',
        out_indices: Sequence[int] = (-1,),
        relative_table: str = 'shared',
        layer_scale: float = 0.1,
        drop_path_rate: float = 0.0,
        final_norm: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choices(
            output=(output, ('cls', 'mean', 'maps', 'tokens')),
            relative_table=(relative_table, ('shared', 'per-block', 'none')),
        )
        dim, depth, num_heads, mlp_ratio = resolve_arch(arch)
        check_block_indices(out_indices, depth)
        self.embed_dim = self.feature_dim = dim
        self.num_prefix_tokens = 1
        self.patch_size = patch_size
        self.output = output
        self.out_indices = tuple(sorted(index % depth for index in out_indices))
        num_blocks = max(self.out_indices) + 1 if output == 'maps' else depth
        norm: Any = partial(nn.LayerNorm, eps=1e-6)

        self.patch_embed = PatchEmbed(
            to_2tuple(img_size), patch_size, embed_dim=dim, strict_img_size=False, dynamic_img_pad=True
        )
        self.grid_size = (self.patch_embed.grid_size[0], self.patch_embed.grid_size[1])
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim))
        is_shared = relative_table == 'shared'
        self.rel_pos_bias = RelativeTable(self.grid_size, num_heads) if is_shared else None
        own_grid = self.grid_size if relative_table == 'per-block' else None
        options = dict(mlp_ratio=mlp_ratio, init_values=layer_scale, norm_layer=norm)
        rates = torch.linspace(0, drop_path_rate, depth, device='cpu').tolist()
        self.blocks = nn.ModuleList(
            BEiTBlock(dim, num_heads, grid=own_grid, drop_path=rate, **options) for rate in rates[:num_blocks]
        )
        has_norm = final_norm and num_blocks == depth
        self.norm = norm(dim) if has_norm else nn.Identity()
        unused = [f'blocks.{index}.' for index in range(num_blocks, depth)]
        skip_on_load(self, *unused, *(() if has_norm else ['norm.']))
        adapt_on_load(self, _adapt_loaded_tables)
        describe_grid(self)
        self._index: Tensor
        self.register_buffer('_index', relative_index(self.grid_size), persistent=False)
        self._init_parameters()

    def forward(
        self, images: Tensor, mask: Tensor | None = None, mask_token: Tensor | None = None
    ) -> Tensor | tuple[Tensor, ...]:
        """Encodes images; with ``mask`` a token replaces the hidden patches.

        Args:
            images: (N, 3, H, W), normalised.
            mask: (N, L) bool, True = hidden: ``mask_token`` replaces these patches; None hides none.
            mask_token: (1, 1, D), needed with ``mask``.

        Returns:
            (N, D) for ``'cls'`` and ``'mean'``, (N, 1 + L, D) for ``'tokens'``, and for ``'maps'`` one (N, D, rows,
            columns) per entry of ``out_indices``.
        """
        height, width = images.shape[-2:]
        rows, columns = self.patch_embed.dynamic_feat_size((height, width))
        grid = (rows, columns)
        x = self.patch_embed(images)  # (N, L, D)
        if mask is not None:
            x = hide_patches(x, mask, mask_token)
        return self._encode(torch.cat([self.cls_token.to(x.dtype).expand(x.shape[0], -1, -1), x], dim=1), grid)

    def _encode(self, x: Tensor, grid: tuple[int, int]) -> Tensor | tuple[Tensor, ...]:
        """Runs the blocks on tokens (N, 1 + L, D), class token first, and returns the output that is asked for."""
        shared = None if self.rel_pos_bias is None else self._bias(self.rel_pos_bias, grid)
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x, self._bias(block.attn, grid) if shared is None else shared)
            if index == len(self.blocks) - 1:
                x = self.norm(x)
            if index in self.out_indices:
                maps.append(x)
        if self.output == 'maps':
            return tuple(x[:, 1:].transpose(1, 2).unflatten(2, grid) for x in maps)
        if self.output == 'tokens':
            return x
        return x[:, 0] if self.output == 'cls' else x[:, 1:].mean(dim=1)

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the transformer blocks."""
        return list(self.blocks)

    def _bias(self, owner: Any, grid: tuple[int, int]) -> Tensor | None:
        """Returns the bias (heads, 1 + L, 1 + L) from the table of ``owner``, resized to ``grid``; None without one."""
        if getattr(owner, _TABLE, None) is None:
            return None
        table = resize_relative_table(owner.relative_position_bias_table, self.grid_size, grid)
        index = self._index if grid == self.grid_size else relative_index(grid).to(table.device)
        return table[index].permute(2, 0, 1).contiguous()

    def _init_parameters(self) -> None:
        """Sets the official initial values: truncated at one standard deviation, smaller in deeper branches."""
        trunc_normal_(self.cls_token, std=0.02, a=-0.02, b=0.02)
        self.apply(truncated_at_std)
        rescale_branches(self.blocks)


def _adapt_loaded_tables(module: BEiTViT, state_dict: dict, prefix: str, local_metadata: dict, *args: object) -> None:
    """Copies a shared table to every block, if blocks have their own tables, and resizes tables of another grid."""
    if module.rel_pos_bias is None and prefix + _SHARED_TABLE in state_dict:
        shared = state_dict.pop(prefix + _SHARED_TABLE)
        for index in range(len(module.blocks)):
            state_dict[f'{prefix}blocks.{index}.attn.{_TABLE}'] = own_table = shared.clone()
            own_table.grid = known_grid(shared, local_metadata)
    for name, own in module.named_parameters():
        key = prefix + name
        if not name.endswith(_TABLE) or key not in state_dict:
            continue
        table = state_dict[key]
        grid = known_grid(table, local_metadata)
        if grid is None and table.shape[0] != own.shape[0]:
            grid = square_grid(table, CLS_ROWS)
        if grid is not None:
            state_dict[key] = resize_relative_table(table, grid, module.grid_size)

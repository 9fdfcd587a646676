"""HiViT (Zhang et al., 2023, arXiv:2205.14949) and the encoders of iTPN and Fast-iTPN."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from timm.layers import resample_abs_pos_embed, to_2tuple
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.checkpoints.grids import TABLES, describe_grid, known_grid, square_side
from mmssl.models.layers.grid_attention import resize_offsets
from mmssl.models.layers.hivit_blocks import (
    Block,
    Mlp,
    PatchEmbed,
    PatchMerge,
    Places,
    attention_block,
    pair_index,
)
from mmssl.models.layers.initialization import truncated_normal_linear
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.patches import hide_patches, select_patches, unpatchify
from mmssl.models.layers.positions import antialiased_positions, scaled_positions, sincos_positions
from mmssl.models.layers.relative_positions import bicubic_relative_table, square_grid
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices, read_group

# Residual blocks of each stage; HiViT's paper counts pairs in the first two stages, 2-2-20 for its base model.
ARCHS: dict[str, dict[str, Any]] = {
    'tiny': dict(embed_dim=384, depths=(2, 2, 10), num_heads=6),
    'small': dict(embed_dim=384, depths=(4, 4, 20), num_heads=6),
    'base': dict(embed_dim=512, depths=(4, 4, 20), num_heads=8),
    'itpn-base': dict(embed_dim=512, depths=(3, 3, 24), num_heads=8),
    'itpn-large': dict(embed_dim=768, depths=(2, 2, 40), num_heads=12),
    'fast-itpn-tiny': dict(embed_dim=384, depths=(1, 1, 12), num_heads=6, mlp_ratio=3.0, fast=True),
    'fast-itpn-small': dict(embed_dim=384, depths=(2, 2, 20), num_heads=6, mlp_ratio=3.0, fast=True),
    'fast-itpn-base': dict(embed_dim=512, depths=(3, 3, 24), num_heads=8, mlp_ratio=3.0, fast=True),
    'fast-itpn-large': dict(embed_dim=768, depths=(2, 2, 40), num_heads=12, mlp_ratio=3.0, fast=True),
}
_DEFAULTS = dict(stem_mlp_ratio=3.0, mlp_ratio=4.0, fast=False)
_INNER = 4  # cells along the side of a unit
_RELATIVE = ('relative_position_bias_table', 'rel_pos_h', 'rel_pos_w')


def _read_position(
    position: str | dict,
    *,
    position_bias: str | None = None,
    resample: str | None = None,
    window_size: int = 0,
    global_indices: Sequence[int] = (),
) -> tuple[str, str, str]:
    """Returns kind, bias and resampling of the positions; the last four arguments come from earlier versions."""
    if window_size or global_indices:
        raise ValueError("window_size and global_indices belong to type='mmssl.WindowedHiViT'")
    settings = read_group('position', position, dict(kind='sincos', bias='off', resample='antialiased'))
    return settings['kind'], position_bias or settings['bias'], resample or settings['resample']


@BACKBONES.register_module()
class HiViT(OrderedLayers, BaseModule):
    """Hierarchical vision transformer whose first two stages process each unit separately.

    A unit is a square of 4 x 4 cells, 16 pixels wide. Stage 1 applies MLPs to the cells, stage 2 applies MLPs to 2 x 2
    merged positions per unit, and stage 3 applies attention to one token per unit, after positions were added. Units do
    not interact before stage 3, so hidden units can be dropped before stage 1, as in MAE. There is no class token and
    no final norm. Parameters have the names of the official codes; ``blocks`` also contains the merges.

    Fast-iTPN has SwiGLU in stage 3, a norm within every MLP, separate projections of queries, keys and values, and its
    own merges; its official 1 x 1 convolutions are linear layers here.

    The sides of images must be multiples of the unit; absolute and relative positions are resized to the grid of the
    images. Positions of a checkpoint with another grid are resized on loading; a grid that is not recorded is taken to
    be square.

    Args:
        arch: Architecture: a key of ``ARCHS``, or a dict of ``embed_dim`` C, ``depths`` (residual blocks of the three
            stages, without merges), ``num_heads`` and optionally ``stem_mlp_ratio``, ``mlp_ratio`` and ``fast``.
        img_size: Side of the images in pixels, or (height, width); sets the grid of the position parameters.
        stem_stride: Side of a cell in pixels; the side of a unit is four times this.
        output: Output: ``'units'``: the features of the three stages by unit, (N, K, 4, 4, C / 4), (N, K, 2, 2, C / 2)
            and (N, K, C), the first two before they are merged; ``'maps'``: the maps of ``out_indices``; ``'mean'``:
            the mean over the units of stage 3, (N, C).
        out_indices: Stages 0, 1, 2 whose maps (N, C / 4, H / 4, W / 4), (N, C / 2, H / 8, W / 8), (N, C, H / 16,
            W / 16) are returned; 3 is stage 2 after a 2 x 2 max-pooling.
        early_block: Index of a block of stage 3, counted from 0, whose tokens (N, K, C) are also returned, before those
            of stage 3; for ``'units'`` only.
        position: Kind of the absolute positions, or a dict of ``kind``, ``bias`` and ``resample``. ``kind`` is the
            initial value of the positions, which are trained: ``'sincos'``, or ``'learned'`` for random values.
            ``bias`` is the bias of the attention by relative position: ``'off'`` for none; ``'table'`` for one number
            per head and relative position, resized bicubically; ``'axis'`` for biases decomposed by rows and columns as
            in ViTDet, resized linearly. ``resample`` is the interpolation of absolute positions for images of another
            size: ``'antialiased'``, bicubic; ``'dino'``, ``scaled_positions``, as in the official detection and
            segmentation codes; ``'itpn'``, which also applies ``scaled_positions`` to images of the table's size with
            hidden units, as in the official pre-training of iTPN on pixels.
        layer_scale: Initial value of the factors of residual branches; None means no factors.
        drop_path_rate: Stochastic depth probability of the last block; it rises linearly from 0 at the first block.
        eps: Number added to the variance in the norms.
        init_cfg: MMEngine's initialisation config.
        **former: Arguments from configs of earlier versions: ``position_bias`` means ``position=dict(bias=...)``, and
            ``resample`` means ``position=dict(resample=...)``.

    Raises:
        ValueError: An argument has another value than those above.
    """

    options_go_to = _read_position
    num_prefix_tokens = 0
    _pairs: Tensor

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 224,
        stem_stride: int = 4,
        output: str = 'maps',
        out_indices: Sequence[int] = (0, 1, 2),
        early_block: int | None = None,
        position: str | dict = 'sincos',
        layer_scale: float | None = None,
        drop_path_rate: float = 0.0,
        eps: float = 1e-6,
        init_cfg: dict | None = None,
        **former: Any,
    ) -> None:
        super().__init__(init_cfg)
        kind, self.position_bias, self.resample = _read_position(position, **former)
        options = _resolve(arch)
        depths, dim = options['depths'], options['embed_dim']
        check_choices(
            output=(output, ('units', 'maps', 'mean')),
            position_bias=(self.position_bias, ('off', 'table', 'axis')),
            position=(kind, ('sincos', 'learned')),
            resample=(self.resample, ('antialiased', 'dino', 'itpn')),
        )
        if not out_indices or not set(out_indices) <= {0, 1, 2, 3}:
            raise ValueError(f'out_indices must name stages 0, 1, 2, or 3 for the pooled last stage, got {out_indices}')
        if early_block is not None and (output != 'units' or not 0 <= early_block < depths[2]):
            raise ValueError(
                f"early_block must be one of the {depths[2]} blocks of stage 3, with output='units', got {early_block}"
            )
        self.patch_size = _INNER * stem_stride
        self.grid_size = self._grid(*to_2tuple(img_size))
        self.embed_dim = self.feature_dim = dim  # width of stage 3 and of a mask token
        self.output = output
        self.out_indices = tuple(out_indices)
        self.early_block = early_block
        self.num_main_blocks = depths[2]

        table = (
            sincos_positions(self.grid_size, dim, 'column', torch.float64, prefix=0)
            if kind == 'sincos'
            else nn.init.trunc_normal_(torch.empty(1, self.grid_size[0] * self.grid_size[1], dim), std=0.02)
        )
        self.absolute_pos_embed = nn.Parameter(table)
        norm: Any = partial(nn.LayerNorm, eps=eps)
        self.patch_embed = PatchEmbed(dim // 4, stem_stride, None if options['fast'] else norm)
        self.blocks = _make_blocks(options, eps, self.grid_size, self.position_bias, layer_scale, drop_path_rate)
        if self.position_bias == 'table':
            self.register_buffer('_pairs', pair_index(self.grid_size), persistent=False)
        self.apply(truncated_normal_linear)
        adapt_on_load(self, _adapt_loaded_positions)
        describe_grid(self)

    def forward(
        self,
        images: Tensor,
        keep: Tensor | None = None,
        mask: Tensor | None = None,
        mask_token: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Encodes all units, only the visible units (``keep``), or all with hidden units replaced in stage 3
        (``mask``).

        Args:
            images: (N, 3, H, W), normalised, H and W multiples of ``patch_size``.
            keep: (N, K) int64, positions of the visible units; or (N, L) bool, True = visible, with the same number K
                in every image, which synchronises the device; None encodes all L units.
            mask: (N, L) bool, True = hidden: ``mask_token`` replaces these units at the input of stage 3, before
                positions are added; the first two stages see all units. None hides none.
            mask_token: (1, 1, C), needed with ``mask``.

        Returns:
            Features as described for the argument ``output`` of the class.

        Raises:
            ValueError: A side of the images is not a multiple of ``patch_size``, ``keep`` is bool and the number of
                visible units differs between images, ``keep`` is given with ``output='maps'``, or ``mask`` has another
                number of units or no ``mask_token``.
        """
        if keep is not None and self.output == 'maps':
            raise ValueError("keep drops units, so there are no whole maps: choose another output than 'maps'")
        grid = self._grid(*images.shape[-2:])
        positions = self._positions(grid, is_whole=keep is None)  # (1, L, C)
        units = self.patch_embed(images)  # (N, L, 4, 4, C / 4)
        if keep is not None:
            keep = _to_positions(keep)
            units = select_patches(units, keep)
            positions = select_patches(positions.expand(images.shape[0], -1, -1), keep)
        *stages, tokens = self._first_stages(units)
        if mask is not None:
            tokens = hide_patches(tokens, mask, mask_token)
        stages += self._last_stage(tokens + positions, self._places(grid, keep, images.device))
        if self.output == 'units':
            return tuple(stages)
        return stages[-1].mean(dim=1) if self.output == 'mean' else self._maps(stages, grid)

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the residual blocks of all stages, without the merges between them."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def _first_stages(self, units: Tensor) -> list[Tensor]:
        """Returns the outputs of stages 1 and 2 before merging, and the input tokens (N, K, C) of stage 3."""
        stages = []
        for block in self.blocks[: -self.num_main_blocks]:
            if isinstance(block, PatchMerge):
                stages.append(units)
            units = block(units)
        return [*stages, units.flatten(1, 3)]

    def _last_stage(self, tokens: Tensor, places: Places) -> list[Tensor]:
        """Returns the tokens (N, K, C) after ``early_block``, if there is one, and after the last block."""
        found = []
        for index, block in enumerate(self.blocks[-self.num_main_blocks :]):
            tokens = block(tokens, places)
            if index == self.early_block:
                found.append(tokens)
        return [*found, tokens]

    def _places(self, grid: tuple[int, int], keep: Tensor | None, device: torch.device) -> Places:
        """Returns the positions of all units of ``grid``, or of the visible units ``keep`` (N, K)."""
        if self.position_bias != 'table':
            return Places(grid, keep, None)
        pairs = self._pairs if grid == self.grid_size else pair_index(grid, device)
        return Places(grid, keep, pairs if keep is None else pairs[keep.unsqueeze(2), keep.unsqueeze(1)])

    def _maps(self, stages: list[Tensor], grid: tuple[int, int]) -> tuple[Tensor, ...]:
        sides = (_INNER, _INNER // 2, 1)
        maps = [unpatchify(units.flatten(2), side, grid) for units, side in zip(stages, sides)]
        return tuple(max_pool2d(maps[2], 2) if index == 3 else maps[index] for index in self.out_indices)

    def _positions(self, grid: tuple[int, int], is_whole: bool) -> Tensor:
        """Returns the position embeddings (1, L, C) for a grid; ``is_whole`` tells whether all units are visible."""
        if grid == self.grid_size and (is_whole or self.resample != 'itpn'):
            return self.absolute_pos_embed
        if self.resample == 'antialiased':
            return antialiased_positions(self.absolute_pos_embed, grid, self.grid_size, prefix=0)
        return scaled_positions(self.absolute_pos_embed, grid, self.grid_size, prefix=0, keep_own=False)

    def _grid(self, height: int, width: int) -> tuple[int, int]:
        if height % self.patch_size or width % self.patch_size:
            raise ValueError(
                f'the sides of images must be multiples of the unit of {self.patch_size} pixels, got {height} x {width}'
            )
        return height // self.patch_size, width // self.patch_size


def _make_blocks(
    options: dict[str, Any],
    eps: float,
    grid: tuple[int, int],
    position_bias: str,
    layer_scale: float | None,
    drop_path_rate: float,
) -> nn.ModuleList:
    """Builds the blocks of the three stages and the merges between them."""
    depths, fast = options['depths'], options['fast']
    norm: Any = partial(nn.LayerNorm, eps=eps)
    rates = iter(torch.linspace(0, drop_path_rate, sum(depths), device='cpu').tolist())
    inner_norm = norm if fast else None
    blocks = nn.ModuleList()
    for depth, dim in zip(depths[:2], (options['embed_dim'] // 4, options['embed_dim'] // 2)):
        for _ in range(depth):
            mlp = Mlp(dim, int(dim * options['stem_mlp_ratio']), inner_norm)
            blocks.append(Block(dim, mlp, norm, layer_scale=None if fast else layer_scale, drop_path=next(rates)))
        blocks.append(PatchMerge(dim, norm, joint=not fast))
    width_and_heads, ratio = (options['embed_dim'], options['num_heads']), options['mlp_ratio']
    blocks += [
        attention_block(*width_and_heads, grid, position_bias, layer_scale, rate, eps, ratio, fast) for rate in rates
    ]
    return blocks


def _to_positions(keep: Tensor) -> Tensor:
    """Returns the positions (N, K) int64 of visible units, given as positions or as (N, L) bool."""
    if keep.dtype != torch.bool:
        return keep
    everywhere = torch.arange(keep.shape[1], device=keep.device).expand_as(keep)
    return select_patches(everywhere, keep)


def _resolve(arch: str | dict) -> dict[str, Any]:
    """Returns every option of an architecture."""
    if isinstance(arch, str):
        check_choices(arch=(arch, tuple(ARCHS)))
        arch = ARCHS[arch]
    required = {'embed_dim', 'depths', 'num_heads'}
    if not required <= set(arch) <= required | set(_DEFAULTS) or len(arch['depths']) != 3 or arch['embed_dim'] % 4:
        raise ValueError(
            f'arch must hold {sorted(required)} and may hold {sorted(_DEFAULTS)}, with three depths and a width '
            f'divisible by 4; got {dict(arch)}'
        )
    return {**_DEFAULTS, **arch}


def _adapt_loaded_positions(module: HiViT, state_dict: dict, prefix: str, local_metadata: dict, *args: object) -> None:
    """Resizes the positions of a checkpoint to this module's; a grid that is not recorded is taken to be square."""
    _settle_relative_positions(module, state_dict, prefix)
    for name, own in module.named_parameters():
        key, leaf = prefix + name, name.rpartition('.')[2]
        if key not in state_dict or leaf not in _RESIZERS:
            continue
        loaded = state_dict[key]
        grid = known_grid(loaded, local_metadata)
        if loaded.shape != own.shape or grid is not None and leaf in TABLES:
            state_dict[key] = _RESIZERS[leaf](loaded, own, grid, module.grid_size)


def _settle_relative_positions(module: HiViT, state_dict: dict, prefix: str) -> None:
    """Drops relative positions that this module does not have, and keeps its own if the checkpoint has none.

    Pre-training on pixels and detection have no relative positions, fine-tuning has them.
    """
    own = dict(module.named_parameters())
    offered = [key for key in state_dict if key.startswith(prefix)]
    leaves = {key.rpartition('.')[2] for key in offered}
    unused = [key for key in offered if key.endswith(_RELATIVE) and key[len(prefix) :] not in own]
    missing = (
        set(_RELATIVE) - leaves if 'absolute_pos_embed' in leaves else set()
    )  # else the state is not of a backbone
    new = {prefix + name: p.detach() for name, p in own.items() if name.rpartition('.')[2] in missing}
    if unused or new:
        what = 'ignored, because this backbone has none' if unused else 'new: the checkpoint has none'
        print_log(f'relative positions are {what}', logger='current')
    for key in unused:
        del state_dict[key]
    state_dict.update(new)


Grid = tuple[int, int]


def _resize_absolute(loaded: Tensor, own: Tensor, grid: Grid | None, wanted: Grid) -> Tensor:
    return resample_abs_pos_embed(loaded, wanted, grid or square_side(loaded, 0), num_prefix_tokens=0)


def _resize_table(loaded: Tensor, own: Tensor, grid: Grid | None, wanted: Grid) -> Tensor:
    return bicubic_relative_table(loaded, grid or square_grid(loaded, 0), wanted)


def _resize_axis(loaded: Tensor, own: Tensor, grid: Grid | None, wanted: Grid) -> Tensor:
    return resize_offsets(loaded, len(own))


_RESIZERS = {
    'absolute_pos_embed': _resize_absolute,
    'relative_position_bias_table': _resize_table,
    'rel_pos_h': _resize_axis,
    'rel_pos_w': _resize_axis,
}

"""Two stages of convolutions and one of attention: the backbone of ConvMAE (MCMAE)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, cast

import torch
from mmengine.model import BaseModule
from timm.layers import LayerNorm2d, to_2tuple, trunc_normal_
from timm.models.vision_transformer import Block
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.checkpoints.grids import describe_grid
from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loaded_positions import resample_loaded_positions
from mmssl.models.layers.loading import skip_on_load
from mmssl.models.layers.masked_conv_block import MaskedConvBlock
from mmssl.models.layers.patches import select_patches
from mmssl.models.layers.positions import antialiased_positions, sincos_positions
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_choices

ARCHS: dict[str, dict[str, Any]] = {'base': dict(dims=(256, 384, 768), depths=(2, 2, 11), num_heads=12)}
_UNIT = 4  # positions of stage 1 along the side of a patch of stage 3


class StageEmbed(nn.Sequential):
    """Convolution without overlap, layer norm and GELU, which begin a stage.

    Args:
        inputs: Channels of the input.
        outputs: Channels of the stage.
        stride: Side and stride of the convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, outputs, stride, stride)
        self.norm = LayerNorm2d(outputs, eps=1e-5)
        self.act = nn.GELU()


@BACKBONES.register_module()
class ConvViT(OrderedLayers, BaseModule):
    """Hybrid of convolutions and attention (Gao et al., 2022, arXiv:2205.03892, Fig. 2), without class token.

    Stages 1 and 2 are ``MaskedConvBlock`` at strides 4 and 8, stage 3 is transformer blocks at stride 16 with one
    position table. In pre-training, visible patches are those of stage 3, and ``multi_scale`` adds the outputs of
    stages 1 and 2 before the final norm. Images are padded at the bottom and on the right to whole patches, and
    positions resampled, antialiased, for images or checkpoints of another size.

    Args:
        arch: Architecture: ``'base'``, or a dict of ``dims`` and ``depths`` of three stages and ``num_heads`` of the
            third.
        img_size: Side of the images in pixels, or (height, width); sets the grid of the position table.
        stem_stride: Stride of stage 1 in pixels; a patch of stage 3 has four times this side.
        output: Output: ``'mean'``, the mean of the tokens; ``'tokens'``; or ``'maps'``, the maps of ``out_indices``.
        out_indices: Stages whose maps are returned, 0, 1 and 2 at four, eight and sixteen times ``stem_stride`` / 4,
            and 3, the last one halved by maximum pooling as in the official detector.
        position: Kind of the positions: ``'mae'``, the fixed table of ``sincos_positions``, or ``'learned'``.
        multi_scale: Whether the outputs of stages 1 and 2 are added to that of stage 3, as in pre-training. If False,
            the layers for it in a checkpoint are ignored.
        drop_path_rate: Stochastic depth probability of the last block; it rises linearly from 0 over all stages.
        final_norm: Whether a norm follows; if False, the norm in a checkpoint is ignored.
        init_cfg: MMEngine's initialisation config.

    Raises:
        ValueError: An argument has another value than those above.
    """

    num_prefix_tokens = 0
    num_prefix_positions = 0

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 224,
        stem_stride: int = 4,
        output: str = 'mean',
        out_indices: Sequence[int] = (2,),
        position: str = 'mae',
        multi_scale: bool = False,
        drop_path_rate: float = 0.0,
        final_norm: bool = True,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_choices(output=(output, ('mean', 'tokens', 'maps')), position=(position, ('mae', 'learned')))
        if not out_indices or not set(out_indices) <= {0, 1, 2, 3}:
            raise ValueError(f'out_indices are numbers from 0 to 3, got {tuple(out_indices)}')
        dims, depths, num_heads = _resolve_arch(arch)
        self.embed_dim = self.feature_dim = dims[2]
        self.patch_size = _UNIT * stem_stride
        self.output = output
        self.out_indices = tuple(sorted(out_indices))
        height, width = to_2tuple(img_size)
        self.grid_size = (-(-height // self.patch_size), -(-width // self.patch_size))
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        rates = torch.linspace(0, drop_path_rate, sum(depths), device='cpu').split(list(depths))

        table = sincos_positions(self.grid_size, dims[2], 'column', torch.float64, prefix=0)
        if position == 'learned':
            table = trunc_normal_(torch.empty_like(table), std=0.02)
        self.pos_embed = nn.Parameter(table, requires_grad=position == 'learned')
        self.embeds = nn.ModuleList(
            StageEmbed(*sizes) for sizes in zip((3, *dims), dims, (stem_stride, 2, 2), strict=False)
        )
        self.stages = nn.ModuleList(
            nn.ModuleList(MaskedConvBlock(dim, rate) for rate in stage.tolist()) for dim, stage in zip(dims[:2], rates)
        )
        self.project = nn.Linear(dims[2], dims[2])
        self.blocks = nn.ModuleList(
            Block(dims[2], num_heads, qkv_bias=True, norm_layer=norm, drop_path=rate) for rate in rates[2].tolist()
        )
        self.fuse = nn.ModuleList(
            nn.Conv2d(dim, dims[2], side, side) for dim, side in zip(dims[:2], (_UNIT, 2)) if multi_scale
        )
        self.norm = norm(dims[2]) if final_norm else nn.Identity()
        skip_on_load(self, *(() if final_norm else ('norm.',)), *(() if multi_scale else ('fuse.',)))
        adapt_on_load(self, resample_loaded_positions)
        describe_grid(self)
        self.apply(xavier_uniform_linear)
        with torch.no_grad():
            nn.init.xavier_uniform_(self.embeds[2].get_parameter('proj.weight').flatten(1))

    def forward(self, images: Tensor, keep: Tensor | None = None) -> Tensor | tuple[Tensor, ...]:
        """Encodes all patches of images or only the visible patches.

        Args:
            images: (N, 3, H, W), normalised.
            keep: (N, K) int64, positions of the visible patches; None encodes all L patches.

        Returns:
            (N, D) for ``'mean'``, (N, K, D) for ``'tokens'``, and for ``'maps'`` one (N, C, rows, columns) per entry of
            ``out_indices``.

        Raises:
            ValueError: ``keep`` is given with ``output='maps'``.
        """
        if keep is not None and self.output == 'maps':
            raise ValueError("keep drops patches, so there are no whole maps: choose another output than 'maps'")
        height, width = images.shape[-2:]
        x = pad(images, (0, -width % self.patch_size, 0, -height % self.patch_size))
        grid = (x.shape[-2] // self.patch_size, x.shape[-1] // self.patch_size)
        maps, stages = [], cast('Iterable[nn.ModuleList]', self.stages)
        for embed, blocks, side in zip(self.embeds, stages, (_UNIT, 2)):
            x, visible = embed(x), None if keep is None else _visible_map(keep, grid, side, x.dtype)
            for block in blocks:
                x = block(x, visible)
            maps.append(x)
        tokens = self.project(self.embeds[2](x).flatten(2).transpose(1, 2))  # (N, L, D)
        tokens = tokens + antialiased_positions(self.pos_embed, grid, self.grid_size, prefix=0)
        tokens = self._attend(_select(tokens, keep), grid)
        for fuse, stage in zip(self.fuse, maps):
            tokens = tokens + _select(fuse(stage).flatten(2).transpose(1, 2), keep)
        tokens = self.norm(tokens)
        if self.output != 'maps':
            return tokens if self.output == 'tokens' else tokens.mean(dim=1)
        maps.append(tokens.transpose(1, 2).unflatten(2, grid))
        maps += [max_pool2d(maps[2], 2)] if 3 in self.out_indices else []
        return tuple(maps[index] for index in self.out_indices)

    def _attend(self, tokens: Tensor, grid: tuple[int, int]) -> Tensor:
        """Runs the blocks of stage 3 on tokens (N, K, D)."""
        for block in self.blocks:
            tokens = block(tokens)
        return tokens

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the transformer blocks: in fine-tuning, all convolutions have the rate of the embeddings."""
        return list(self.blocks)


def _resolve_arch(arch: str | dict) -> tuple[tuple[int, int, int], tuple[int, int, int], int]:
    if isinstance(arch, str):
        check_choices(arch=(arch, tuple(ARCHS)))
        arch = ARCHS[arch]
    if set(arch) != {'dims', 'depths', 'num_heads'} or len(arch['dims']) != 3 or len(arch['depths']) != 3:
        raise ValueError(f'arch must hold dims and depths of three stages and num_heads, got {arch}')
    return tuple(arch['dims']), tuple(arch['depths']), arch['num_heads']


def _visible_map(keep: Tensor, grid: tuple[int, int], side: int, dtype: torch.dtype) -> Tensor:
    """Returns (N, 1, rows * side, columns * side), 1 at the positions of visible patches and 0 at the others."""
    flat = torch.zeros(len(keep), grid[0] * grid[1], dtype=dtype, device=keep.device)
    visible = flat.scatter(1, keep, 1.0).view(len(keep), 1, *grid)
    return visible.repeat_interleave(side, dim=2).repeat_interleave(side, dim=3)


def _select(tokens: Tensor, keep: Tensor | None) -> Tensor:
    return tokens if keep is None else select_patches(tokens, keep)

"""Vision transformer (Dosovitskiy et al., 2021, arXiv:2010.11929) built from timm's blocks."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import torch
from mmengine.model import BaseModule
from timm.layers import PatchEmbed, to_2tuple, trunc_normal_
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from mmssl.checkpoints.adaptation import adapt_on_load
from mmssl.checkpoints.grids import describe_grid
from mmssl.models.layers.batch_subset_block import BatchSubsetBlock, gated_mlp
from mmssl.models.layers.initialization import xavier_uniform_linear
from mmssl.models.layers.layer_order import OrderedLayers
from mmssl.models.layers.loaded_positions import resample_loaded_positions
from mmssl.models.layers.loading import skip_on_load
from mmssl.models.layers.patches import embed_visible, hide_patches, select_patches
from mmssl.models.layers.positions import antialiased_positions, scaled_positions, sincos_positions
from mmssl.registry import BACKBONES
from mmssl.utils.arguments import check_block_indices, check_choices, read_group

ARCHS: dict[str, dict[str, Any]] = {
    'tiny': dict(embed_dim=192, depth=12, num_heads=3),
    'small': dict(embed_dim=384, depth=12, num_heads=6),
    'mocov3-small': dict(embed_dim=384, depth=12, num_heads=12),
    'base': dict(embed_dim=768, depth=12, num_heads=12),
    'large': dict(embed_dim=1024, depth=24, num_heads=16),
    'huge': dict(embed_dim=1280, depth=32, num_heads=16),
    'giant': dict(embed_dim=1408, depth=40, num_heads=16, mlp_ratio=48 / 11),
    'dinov2-giant': dict(embed_dim=1536, depth=40, num_heads=24),
}

_ARCH_OPTIONS: dict[str, Any] = dict(registers=0, ffn='mlp', layer_scale=None)

# position -> axis whose sines and cosines fill the first half of the channels, dtype of the computation
_FIXED_POSITIONS = {'sincos': ('row', torch.float32), 'mae': ('column', torch.float64)}


class ConvStem(nn.Module):
    """Patch embedding of stride 16 by four 3x3 convolutions of stride 2 (Xiao et al., 2021, arXiv:2106.14881).

    Args:
        img_size: Height and width of the images in pixels; sets the grid of the position table.
        embed_dim: Width D of the tokens, divisible by 8.
    """

    def __init__(self, img_size: tuple[int, int], embed_dim: int) -> None:
        super().__init__()
        self.grid_size = tuple(-(-size // 16) for size in img_size)
        widths = [3, embed_dim // 8, embed_dim // 4, embed_dim // 2, embed_dim]
        layers = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
        self.proj = nn.Sequential(*layers, nn.Conv2d(embed_dim, embed_dim, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Returns tokens (N, L, D) for images (N, 3, H, W)."""
        return self.proj(images).flatten(2).transpose(1, 2)

    def dynamic_feat_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Returns the rows and columns of tokens for an image of ``size`` (height, width), as timm's method does."""
        return -(-size[0] // 16), -(-size[1] // 16)


def _read_arguments(
    position: str | dict,
    patch_embed: str,
    *,
    resample: str | None = None,
    conv_stem: bool = False,
    frozen_patch_embed: bool = False,
    window_size: int = 0,
    global_indices: Sequence[int] = (),
    relative_size: int = 0,
) -> tuple[str, str, str]:
    """Returns position kind, resampling and patch embedding; the last six arguments come from earlier versions."""
    if window_size or global_indices or relative_size:
        raise ValueError("window_size, global_indices and relative_size belong to type='mmssl.WindowedViT'")
    if conv_stem and frozen_patch_embed:
        raise ValueError('conv_stem cannot be frozen: set frozen_patch_embed=False')
    settings = read_group('position', position, dict(kind='learned', resample='antialiased'))
    patch_embed = 'conv' if conv_stem else 'frozen' if frozen_patch_embed else patch_embed
    return settings['kind'], resample or settings['resample'], patch_embed


@BACKBONES.register_module()
class VisionTransformer(OrderedLayers, BaseModule):
    """Vision transformer with a class token and timm's parameter names, for pre-training and benchmarks.

    Positions are resampled for images of another size than ``img_size``, see ``position``, and when a checkpoint of
    another size is loaded (antialiased). Images are padded at the bottom and on the right to whole patches. Detectors
    use ``WindowedViT``.

    Args:
        arch: Architecture: ``'tiny'``, ``'small'``, ``'base'``, ``'large'``, ``'huge'``, ``'giant'``,
            ``'mocov3-small'`` (12 heads instead of 6), ``'dinov2-giant'``, or a dict of ``embed_dim``, ``depth``,
            ``num_heads`` and optionally ``mlp_ratio``, or of ``size``, which is one of these names. The dict may also
            hold ``registers``, the number of learned tokens between class token and patches (arXiv:2309.16588);
            ``ffn='swiglu'`` for ``gated_mlp``; and ``layer_scale``, the initial scale of residual branches.
        img_size: Side of the images in pixels, or (height, width).
        patch_size: Side of a patch in pixels.
        output: Output: ``'cls'``, the class token after the final norm; ``'mean'``, the mean of the patch tokens after
            the final norm; ``'tokens'``, all tokens after the final norm, class token first; ``'maps'``, the feature
            maps of ``out_indices``.
        out_indices: Blocks whose outputs are the maps, for ``output='maps'`` only. The final norm is applied to the
            output of the last block of the network. Blocks after the last of ``out_indices`` are not built, and their
            tensors in a checkpoint are ignored.
        position: Kind of the positions, or a dict of ``kind`` and ``resample``. The kind is ``'learned'``, or a fixed
            table of ``sincos_positions``: ``'sincos'`` as in MoCo v3, rows first, or ``'mae'`` as in MAE, columns
            first. ``resample`` is the interpolation of positions for images of another size: ``'antialiased'``,
            bicubic, or ``'dino'``, ``scaled_positions``, for models that were trained with it: DINO, iBOT, and
            DINOv2 without registers.
        patch_embed: Patch embedding: ``'linear'``; ``'frozen'``, linear and fixed at its initial value (MoCo v3's trick
            for stability); or ``'conv'``, a ``ConvStem``, with which MoCo v3 uses 11 blocks instead of 12.
        drop_path_rate: Stochastic depth probability of the last block; it rises linearly from 0 at the first block. Or
            a dict of ``rate`` and ``kind``: ``'linear'`` is the same, and ``'subset'`` the same rate in every block, by
            ``BatchSubsetBlock``.
        final_norm: Whether a norm follows the last block. If False, the norm in a checkpoint is ignored: a ViT that is
            fine-tuned on the mean of its tokens has a norm after the mean instead, in its head.
        init: Initialisation: ``'timm'``, truncated normal with std 0.02; ``'mocov3'``, Xavier uniform with q, k and v
            as three matrices and the patch embedding as one matrix; ``'mae'``, Xavier uniform with q, k, v as one
            matrix, and a class token with std 0.02; ``'maskfeat'``, ``'timm'`` with std 0.02 for class token and patch
            embedding, and biases of 0.02 in the linear layers and norms of the blocks.
        init_cfg: MMEngine's initialisation config.
        **former: Arguments from configs of earlier versions: ``resample`` means ``position=dict(resample=...)``,
            ``conv_stem`` means ``patch_embed='conv'``, and ``frozen_patch_embed`` means ``patch_embed='frozen'``.

    Raises:
        ValueError: An argument has another value than those above.
    """

    options_go_to = _read_arguments
    num_prefix_tokens = 1
    num_prefix_positions = 1  # rows of the position table before the patches

    def __init__(
        self,
        arch: str | dict = 'base',
        img_size: int | tuple[int, int] = 224,
        patch_size: int = 16,
        output: str = 'cls',
        out_indices: Sequence[int] = (-1,),
        position: str | dict = 'learned',
        patch_embed: str = 'linear',
        drop_path_rate: float | dict = 0.0,
        final_norm: bool = True,
        init: str = 'timm',
        init_cfg: dict | None = None,
        **former: Any,
    ) -> None:
        super().__init__(init_cfg)
        kind, self.resample, patch_embed = _read_arguments(position, patch_embed, **former)
        check_choices(
            output=(output, ('cls', 'mean', 'maps', 'tokens')),
            position=(kind, ('learned', *_FIXED_POSITIONS)),
            resample=(self.resample, ('antialiased', 'dino')),
            patch_embed=(patch_embed, ('linear', 'frozen', 'conv')),
            init=(init, ('mae', 'maskfeat', 'mocov3', 'timm')),
        )
        if patch_embed == 'conv' and patch_size != 16:
            raise ValueError(f"patch_embed='conv' needs patch_size=16, got {patch_size}")
        dim, depth, num_heads, _ = resolve_arch(arch, _ARCH_OPTIONS)
        check_block_indices(out_indices, depth)
        self.embed_dim = self.feature_dim = dim
        self.patch_size = patch_size
        self.output = output
        self.out_indices = tuple(sorted(index % depth for index in out_indices))
        num_blocks = max(self.out_indices) + 1 if output == 'maps' else depth
        norm: Any = partial(nn.LayerNorm, eps=1e-6)
        size = to_2tuple(img_size)

        self.patch_embed = (
            ConvStem(size, dim)
            if patch_embed == 'conv'
            else PatchEmbed(size, patch_size, embed_dim=dim, strict_img_size=False, dynamic_img_pad=True)
        )
        self.grid_size = tuple(self.patch_embed.grid_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, dim)) if self.num_prefix_tokens else None
        self.reg_token = None
        registers = _option(arch, 'registers')
        if registers and self.num_prefix_tokens:
            self.reg_token = nn.Parameter(nn.init.normal_(torch.empty(1, registers, dim), std=1e-6))
            self.num_prefix_tokens = 1 + registers
        if kind in _FIXED_POSITIONS:
            table = sincos_positions(self.grid_size, dim, *_FIXED_POSITIONS[kind], prefix=self.num_prefix_positions)
            self.pos_embed = nn.Parameter(table, requires_grad=False)
        else:
            num_patches = self.grid_size[0] * self.grid_size[1]
            rows = self.num_prefix_positions + num_patches
            self.pos_embed = nn.Parameter(trunc_normal_(torch.empty(1, rows, dim), std=0.02))
        self.blocks = nn.Sequential(*_blocks(arch, drop_path_rate)[:num_blocks])
        self._adapt_blocks(depth, num_heads)
        has_norm = final_norm and num_blocks == depth
        self.norm = norm(dim) if has_norm else nn.Identity()
        unbuilt = [f'blocks.{index}.' for index in range(num_blocks, depth)]
        unbuilt += ([] if has_norm else ['norm.']) + ([] if self.num_prefix_tokens else ['cls_token', 'reg_token'])
        skip_on_load(self, *unbuilt)
        adapt_on_load(self, resample_loaded_positions)
        describe_grid(self)

        self._init_parameters(init)
        if patch_embed == 'frozen':
            self.patch_embed.proj.requires_grad_(False)

    def forward(
        self,
        images: Tensor,
        keep: Tensor | None = None,
        mask: Tensor | None = None,
        mask_token: Tensor | None = None,
    ) -> Tensor | tuple[Tensor, ...]:
        """Encodes all patches, only the visible patches (``keep``), or all with hidden patches replaced (``mask``).

        Args:
            images: (N, 3, H, W), normalised.
            keep: (N, K) int64, positions of the visible patches; or (N, L) bool, True = visible, with the same number K
                in every image, which synchronises the device; None encodes all L patches.
            mask: (N, L) bool, True = hidden: ``mask_token`` replaces these patches before positions are added; None
                hides none.
            mask_token: (1, 1, D), needed with ``mask``.

        Returns:
            (N, D) for ``'cls'`` and ``'mean'``, (N, 1 + registers + K, D) for ``'tokens'``, and for ``'maps'`` one (N,
            D, rows, columns) per entry of ``out_indices``.

        Raises:
            ValueError: ``keep`` is bool and the number of visible patches differs between images, ``keep`` is given
                with ``output='maps'`` or with ``mask``, or ``mask`` has another number of patches or no ``mask_token``.
        """
        height, width = images.shape[-2:]
        grid = self.patch_embed.dynamic_feat_size((height, width))
        resample = scaled_positions if self.resample == 'dino' else antialiased_positions
        positions = resample(self.pos_embed, grid, self.grid_size, self.num_prefix_positions)
        prefix, positions = positions.tensor_split([self.num_prefix_positions], dim=1)
        if keep is not None:
            if mask is not None:
                raise ValueError('give either keep or mask: with keep there are no hidden patches to replace')
            if self.output == 'maps':
                raise ValueError("keep drops patches, so there are no whole maps: choose another output than 'maps'")
            places = select_patches(positions.expand(images.shape[0], -1, -1), keep)
            x = self._embed_visible(images, keep) + places  # (N, K, D)
        else:
            x = self.patch_embed(images)  # (N, L, D)
            if mask is not None:
                x = hide_patches(x, mask, mask_token)
            x = x + positions
        if self.cls_token is not None:
            first = [self.cls_token + prefix] if self.reg_token is None else [self.cls_token + prefix, self.reg_token]
            x = torch.cat([*(token.expand(x.shape[0], -1, -1) for token in first), x], dim=1)
        if self.output == 'maps':
            return self._maps(x, grid)
        x = self.norm(self.blocks(x))
        if self.output == 'tokens':
            return x
        return x[:, 0] if self.output == 'cls' else x[:, self.num_prefix_tokens :].mean(dim=1)

    def _embed_visible(self, images: Tensor, keep: Tensor) -> Tensor:
        """Returns the embeddings (N, K, D) of the visible patches; if no patch is padded, only these are embedded."""
        height, width = images.shape[-2:]
        if isinstance(self.patch_embed, ConvStem) or height % self.patch_size or width % self.patch_size:
            return select_patches(self.patch_embed(images), keep)
        return embed_visible(self.patch_embed.proj, images, keep)

    def _maps(self, x: Tensor, grid: tuple[int, int]) -> tuple[Tensor, ...]:
        maps = []
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index == len(self.blocks) - 1:
                x = self.norm(x)
            if index in self.out_indices:
                tokens = x.flatten(1, -2)[:, self.num_prefix_tokens :]
                maps.append(tokens.transpose(1, 2).reshape(x.shape[0], -1, *grid))
        return tuple(maps)

    def ordered_blocks(self) -> Sequence[nn.Module]:
        """Returns the transformer blocks."""
        return list(self.blocks)

    def _adapt_blocks(self, depth: int, num_heads: int) -> None:
        """Changes the blocks before they are initialised; ``depth`` is the number of blocks of the whole network."""

    def _init_parameters(self, init: str) -> None:
        if self.cls_token is not None:
            nn.init.normal_(self.cls_token, std=0.02 if init in ('mae', 'maskfeat') else 1e-6)
        if init == 'mae':
            self.apply(xavier_uniform_linear)
            if isinstance(self.patch_embed, PatchEmbed):
                weight = self.patch_embed.proj.weight
                _xavier_uniform(weight, weight.shape[0], weight[0].numel())
            return
        for name, module in self.blocks.named_modules():
            if init == 'maskfeat' and isinstance(module, nn.LayerNorm):
                nn.init.constant_(module.bias, 0.02)
            if isinstance(module, nn.Linear):
                if init in ('timm', 'maskfeat'):
                    trunc_normal_(module.weight, std=0.02)
                else:
                    rows = module.out_features // 3 if name.endswith('qkv') else module.out_features
                    _xavier_uniform(module.weight, rows, module.in_features)
                nn.init.constant_(module.bias, 0.02 if init == 'maskfeat' else 0.0)
        if init == 'maskfeat' and isinstance(self.patch_embed, PatchEmbed):
            trunc_normal_(self.patch_embed.proj.weight, std=0.02)
        if init == 'mocov3' and isinstance(self.patch_embed, PatchEmbed):
            weight = self.patch_embed.proj.weight
            _xavier_uniform(weight, weight.shape[0], weight[0].numel())
            nn.init.zeros_(self.patch_embed.get_parameter('proj.bias'))


def _option(arch: str | dict, name: str) -> Any:
    return _ARCH_OPTIONS[name] if isinstance(arch, str) else arch.get(name, _ARCH_OPTIONS[name])


def _blocks(arch: str | dict, drop_path: float | dict) -> list[Block]:
    """Returns all blocks of an architecture, with the arguments ``arch`` and ``drop_path_rate`` of the backbone."""
    dim, depth, num_heads, mlp_ratio = resolve_arch(arch, _ARCH_OPTIONS)
    given: dict[str, Any] = dict(drop_path) if isinstance(drop_path, Mapping) else dict(rate=drop_path)
    settings = dict(kind='linear') | given
    check_choices(
        ffn=(_option(arch, 'ffn'), ('mlp', 'swiglu')), drop_path_kind=(settings['kind'], ('linear', 'subset'))
    )
    if set(settings) != {'kind', 'rate'}:
        raise ValueError(f'drop_path_rate must be a number or a dict of rate and kind, got {drop_path}')
    norm: Any = partial(nn.LayerNorm, eps=1e-6)
    options: dict[str, Any] = dict(mlp_ratio=mlp_ratio, qkv_bias=True, norm_layer=norm)
    options['init_values'] = _option(arch, 'layer_scale')
    if _option(arch, 'ffn') == 'swiglu':
        options |= dict(mlp_layer=gated_mlp, act_layer=nn.SiLU)
    if settings['kind'] == 'subset':
        return [BatchSubsetBlock(dim, num_heads, drop_path=settings['rate'], **options) for _ in range(depth)]
    rates = torch.linspace(0, settings['rate'], depth, device='cpu').tolist()
    return [Block(dim, num_heads, drop_path=rate, **options) for rate in rates]


def resolve_arch(arch: str | dict, options: Collection[str] = ()) -> tuple[int, int, int, float]:
    """Returns embed_dim, depth, num_heads and mlp_ratio for a key of ``ARCHS``, or for a dict of these or of ``size``.

    Args:
        arch: Key or dict.
        options: Further keys that the dict may have.

    Raises:
        ValueError: The key is unknown, or keys of the dict are missing or unknown.
    """
    if isinstance(arch, str) or 'size' in arch:
        name = arch if isinstance(arch, str) else arch['size']
        check_choices(arch=(name, tuple(ARCHS)))
        arch = ARCHS[name] if isinstance(arch, str) else ARCHS[name] | {k: x for k, x in arch.items() if k != 'size'}
    required = {'embed_dim', 'depth', 'num_heads'}
    optional = ['mlp_ratio', *options]
    if not required <= set(arch) <= required.union(optional):
        raise ValueError(f'arch must hold {sorted(required)} and may hold {", ".join(optional)}, got {sorted(arch)}')
    return arch['embed_dim'], arch['depth'], arch['num_heads'], arch.get('mlp_ratio', 4.0)


def _xavier_uniform(weight: Tensor, fan_out: int, fan_in: int) -> None:
    bound = (6 / (fan_out + fan_in)) ** 0.5
    nn.init.uniform_(weight, -bound, bound)

"""Arguments of transformers, as far as they follow from the shapes of their tensors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmssl.checkpoints.content import below
from mmssl.converters.architectures.sides import square_side
from mmssl.converters.source import Tensors
from mmssl.models.backbones.conv_vit import ARCHS as CONV_ARCHS
from mmssl.models.backbones.hivit import ARCHS as HIVIT_ARCHS
from mmssl.models.backbones.vision_transformer import ARCHS
from mmssl.models.layers.batch_subset_block import gated_width
from mmssl.models.layers.relative_positions import CLS_ROWS
from mmssl.utils.errors import UserError


def vision_transformer(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns ``arch``, ``img_size``, ``patch_size``, ``conv_stem`` and ``final_norm`` of a ViT."""
    dim, depth, mlp_ratio = _transformer(tensors, 'pos_embed')
    num_prefix = int('cls_token' in tensors)
    conv_stem = 'patch_embed.proj.weight' not in tensors
    patch_size = 16 if conv_stem else tensors['patch_embed.proj.weight'].shape[-1]
    heads = num_heads or heads_of(known.get('arch')) or _usual_heads(dim, depth)
    arch: dict[str, Any] = dict(embed_dim=dim, depth=depth, num_heads=heads, mlp_ratio=mlp_ratio)
    second = tensors['blocks.0.mlp.fc2.weight'].shape[1]
    if second < mlp_ratio * dim:  # the first layer computes both factors of SwiGLU
        arch |= dict(
            ffn='swiglu', mlp_ratio=next(r for r in (4.0, 1.5 * second / dim) if gated_width(int(r * dim)) == second)
        )
    if 'reg_token' in tensors:
        arch['registers'] = tensors['reg_token'].shape[1]
    if 'blocks.0.ls1.gamma' in tensors:
        arch['layer_scale'] = 1e-5
    return dict(
        type='VisionTransformer' if num_prefix else 'PatchViT',
        arch=arch,
        img_size=square_side(tensors['pos_embed'].shape[1] - num_prefix) * patch_size,
        patch_size=patch_size,
        conv_stem=conv_stem,
        final_norm='norm.weight' in tensors,
    )


def masked_autoencoder(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a ViT and of the decoder behind it."""
    width, depth, mlp_ratio = _transformer(below(tensors, 'neck'), 'embed.weight', 'norm.weight')
    encoder = vision_transformer(below(tensors, 'backbone'), num_heads, known)
    return encoder | dict(decoder=dict(embed_dim=width, depth=depth, mlp_ratio=mlp_ratio))


def beit(tensors: Tensors) -> dict[str, Any]:
    """Returns ``arch``, ``img_size``, ``patch_size``, ``relative_table`` and ``layer_scale`` of a BEiT."""
    dim, depth, mlp_ratio = _transformer(tensors, 'cls_token', 'patch_embed.proj.weight', 'norm.weight')
    table = next(tensor for name, tensor in tensors.items() if name.endswith('relative_position_bias_table'))
    patch_size = tensors['patch_embed.proj.weight'].shape[-1]
    scale = tensors.get('blocks.0.gamma_1')
    return dict(
        type='BEiTViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=table.shape[1], mlp_ratio=mlp_ratio),
        img_size=(square_side(len(table) - CLS_ROWS) + 1) // 2 * patch_size,  # n rows have 2 n - 1 differences
        patch_size=patch_size,
        relative_table='shared' if 'rel_pos_bias.relative_position_bias_table' in tensors else 'per-block',
        layer_scale=0 if scale is None else 0.1,
    )


def cae(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the arguments of a BEiT with absolute positions, and ``final_norm``."""
    dim, depth, mlp_ratio = _transformer(tensors, 'cls_token', 'pos_embed', 'patch_embed.proj.weight')
    tables = [tensor for name, tensor in tensors.items() if name.endswith('relative_position_bias_table')]
    heads = tables[0].shape[1] if tables else num_heads or heads_of(known.get('arch')) or _usual_heads(dim, depth)
    patch_size = tensors['patch_embed.proj.weight'].shape[-1]
    return dict(
        type='CAEViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=heads, mlp_ratio=mlp_ratio),
        img_size=square_side(tensors['pos_embed'].shape[1] - 1) * patch_size,
        patch_size=patch_size,
        relative_table='per-block' if tables else 'none',
        layer_scale=0.1 if 'blocks.0.gamma_1' in tensors else 0,
        final_norm='norm.weight' in tensors,
    )


def capi(tensors: Tensors) -> dict[str, Any]:
    """Returns ``arch``, ``patch_size`` and ``registers`` of a ViT without a table of positions."""
    needed = ('reg_token', 'patch_embed.proj.weight', 'blocks.0.attn.frequencies')
    dim, depth, mlp_ratio = _transformer(tensors, *needed)
    heads = dim // tensors['blocks.0.attn.frequencies'].shape[1]
    return dict(
        type='CAPIViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=heads, mlp_ratio=mlp_ratio),
        patch_size=tensors['patch_embed.proj.weight'].shape[-1],
        registers=tensors['reg_token'].shape[1],
    )


def conv_vit(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    """Returns all arguments of a ConvViT that change its tensors."""
    if 'embeds.0.proj.weight' not in tensors or 'pos_embed' not in tensors:
        raise UserError('the file lacks the stem or the positions of a ConvViT: give the file of a whole backbone')
    dims = tuple(len(tensors[f'embeds.{stage}.proj.weight']) for stage in range(3))
    counts = [len({name.split('.')[2] for name in tensors if name.startswith(f'stages.{stage}.')}) for stage in (0, 1)]
    depths = (*counts, len({name.split('.')[1] for name in tensors if name.startswith('blocks.')}))
    usual = CONV_ARCHS['base']
    is_usual = dims == usual['dims'] and depths == usual['depths']
    arch = known.get('arch')
    heads = num_heads or (arch.get('num_heads') if isinstance(arch, Mapping) else None)
    heads = heads or (usual['num_heads'] if is_usual else None)
    if heads is None:
        raise UserError(f'the number of heads of a ConvViT of widths {dims} is not in its tensors: give --num-heads')
    stride = tensors['embeds.0.proj.weight'].shape[-1]
    return dict(
        type='ConvViT',
        arch=dict(dims=dims, depths=depths, num_heads=heads),
        img_size=square_side(tensors['pos_embed'].shape[1]) * 4 * stride,
        stem_stride=stride,
        multi_scale='fuse.0.weight' in tensors,
        final_norm='norm.weight' in tensors,
    )


def hivit(tensors: Tensors) -> dict[str, Any]:
    """Returns all arguments of a HiViT that change its tensors."""
    blocks = {int(name.split('.')[1]) for name in tensors if name.startswith('blocks.')}
    merges = sorted(int(name.split('.')[1]) for name in tensors if name.endswith('.reduction.weight'))
    if len(merges) != 2 or 'absolute_pos_embed' not in tensors:
        raise UserError(
            'the file lacks the two merges or the absolute positions of a HiViT: give the file of a whole backbone'
        )
    _, patches, dim = tensors['absolute_pos_embed'].shape
    depths = (merges[0], merges[1] - merges[0] - 1, max(blocks) - merges[1])
    arch: dict[str, Any] = dict(embed_dim=dim, depths=depths, num_heads=dim // 64)
    if any('.mlp.w1.' in name for name in tensors):
        hidden = next(len(tensor) for name, tensor in tensors.items() if name.endswith('.mlp.w1.weight'))
        arch |= dict(mlp_ratio=hidden / dim, fast=True)
    stride = tensors['patch_embed.proj.weight'].shape[-1]
    described: dict[str, Any] = dict(
        type='HiViT',
        arch=next((name for name, usual in HIVIT_ARCHS.items() if usual == arch), arch),
        img_size=square_side(patches) * 4 * stride,
        stem_stride=stride,
        position_bias='off',
    )
    if any(name.endswith('relative_position_bias_table') for name in tensors):
        described['position_bias'] = 'table'
    if any(name.endswith('rel_pos_h') for name in tensors):
        described['position_bias'] = 'axis'
    if any(name.endswith('gamma_1') for name in tensors):
        described['layer_scale'] = 0.1
    return described


def swin(tensors: Tensors) -> dict[str, Any]:
    """Returns timm's arguments of a Swin transformer, with the smallest ``img_size`` that has such windows."""
    stages = 1 + max(int(name.split('.')[2]) for name in tensors if name.startswith('model.layers.'))
    blocks = Counter(int(name.split('.')[2]) for name in tensors if name.endswith('attn.qkv.weight'))
    tables = [tensors[f'model.layers.{stage}.blocks.0.attn.relative_position_bias_table'] for stage in range(stages)]
    windows = [(square_side(len(table)) + 1) // 2 for table in tables]
    dim, _, patch_size, _ = tensors['model.patch_embed.proj.weight'].shape
    return dict(
        type='TimmBackbone',
        name='swin_tiny_patch4_window7_224',  # the arguments below override the size
        img_size=patch_size * 2 ** (stages - 1) * windows[-1],
        patch_size=patch_size,
        window_size=windows[0],
        embed_dim=dim,
        depths=tuple(blocks[stage] for stage in range(stages)),
        num_heads=tuple(table.shape[1] for table in tables),
        mlp_ratio=len(tensors['model.layers.0.blocks.0.mlp.fc1.weight']) / dim,
    )


def _transformer(tensors: Tensors, *needed: str) -> tuple[int, int, float]:
    """Returns width, depth, and the ratio of the MLP's hidden width to the width."""
    missing = [name for name in (*needed, 'blocks.0.mlp.fc1.weight') if name not in tensors]
    if missing:
        raise UserError(f'the transformer lacks {", ".join(missing)}: give the file of a whole backbone')
    depth = len({name.split('.')[1] for name in tensors if name.startswith('blocks.')})
    hidden, dim = tensors['blocks.0.mlp.fc1.weight'].shape
    return dim, depth, hidden / dim


def heads_of(arch: Any) -> int | None:
    """Returns the number of attention heads of an architecture, a name or a dict; None if it is not known."""
    arch = ARCHS.get(arch) if isinstance(arch, str) else arch
    return arch.get('num_heads') if isinstance(arch, Mapping) else None


def _usual_heads(dim: int, depth: int) -> int:
    fitting = {a['num_heads'] for a in ARCHS.values() if (a['embed_dim'], a['depth']) == (dim, depth)}
    if len(fitting) != 1:
        among = f' (one of {sorted(fitting)})' if fitting else ''
        raise UserError(
            f'the number of attention heads of this transformer of width {dim} and depth {depth} does not follow '
            f'from its tensors: give --num-heads{among}'
        )
    return fitting.pop()

"""Recognition of a backbone and its config by the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any

from mmssl.checkpoints.content import below
from mmssl.converters.source import ADDER_RESNET, HIVIT, RESNET, SCALED_VIT, SWIN, VIT, Tensors
from mmssl.converters.sources.beit import BEIT
from mmssl.models.backbones import adder_resnet, conv_vit, hivit, preact_resnet
from mmssl.models.backbones.resnet import DEPTHS
from mmssl.models.backbones.vision_transformer import ARCHS
from mmssl.models.layers.batch_subset_block import gated_width
from mmssl.models.layers.relative_positions import CLS_ROWS
from mmssl.utils.errors import UserError

_PLAIN = r'stem\.[01]\.\w+|fc\.(fc|bn)[67]\.\w+'  # Sobel and fully connected layers
_NAMES = {
    'MAE': rf'backbone\.{VIT}|neck\.(mask_token|pos_embed|(embed|norm|predict)\.\w+|blocks\.\d+\.\S+)',
    'AdderResNet': ADDER_RESNET,
    'AdderVGG': r'stem\.(conv|bn)\.\w+|stages\.(0\.0|[12]\.[12])\.(conv\.adder|bn\.\w+)',
    'LeNet5BN': r'stem\.(conv|bn)\.\w+|stages\.([01]\.1|2\.0)\.(conv\.adder|bn\.\w+)',
    'ResNet': RESNET,
    'VisionTransformer': SCALED_VIT,
    'BEiTViT': BEIT,
    'CAEViT': rf'pos_embed|{BEIT}',
    'CAPIViT': (
        r'reg_token|patch_embed\.proj\.\w+'
        r'|blocks\.\d+\.((norm[12]|attn\.(q|k|v|proj)|mlp\.fc[12])\.weight|attn\.frequencies)'
    ),
    'ConvViT': (
        r'pos_embed|(norm|project|fuse\.[01])\.\w+|embeds\.[012]\.(proj|norm)\.\w+'
        r'|stages\.[01]\.\d+\.(norm[12]|conv[12]|attn|mlp\.fc[12])\.\w+'
        r'|blocks\.\d+\.(norm[12]|attn\.(qkv|proj)|mlp\.fc[12])\.\w+'
    ),
    'HiViT': rf'{HIVIT}|blocks\.\d+\.(mlp\.(w[123]|ffn_ln)\.\w+|attn\.([qv]_bias|[qkv]_proj\.weight))',  # Fast-iTPN
    'Swin': rf'model\.{SWIN}',
    'TimmBackbone': r'model\..+',
    'WideResNet': r'(stem\.(conv|bn)|stages\.\d\.(\d+\.(act[12]\.bn|conv[12]|shortcut)|bn))\.\w+',
    'PreActResNet': r'stem\.conv\.weight|stages\.\d\.\d+\.(bn[123]\.\w+|(conv[123]|shortcut)\.weight)',
    # The names of AlexNet (one convolution per stage) and of NIN (no biases) also match VGG16, so the order matters.
    'AlexNet': rf'stages\.\d\.0\.(conv|bn)\.\w+|{_PLAIN}',
    'NIN': r'stages\.\d\.\d\.(conv\.weight|bn\.\w+)',
    'VGG16': rf'stages\.\d\.\d\.(conv|bn)\.\w+|{_PLAIN}',
}

_FIRST = 'stages.0.0.conv.weight'


_STEMS = (
    'conv1.weight',
    'patch_embed.proj.weight',
    'patch_embed.proj.0.weight',
    'model.patch_embed.proj.weight',
    'stem.conv.weight',
)


def kind(tensors: Tensors) -> str | None:
    """Returns the kind of backbone to which tensors belong by their names; None if the names match no kind.

    The kind is the name of the class, but ``'Swin'`` for a ``TimmBackbone`` with a Swin transformer, and ``'MAE'`` for
    the tensors of a whole masked autoencoder.
    """
    for backbone, pattern in _NAMES.items():
        if all(re.fullmatch(pattern, name) for name in tensors):
            is_patch_vit = backbone == 'VisionTransformer' and 'cls_token' not in tensors
            return 'PatchViT' if is_patch_vit else backbone
    return None


def describe(tensors: Tensors, num_heads: int | None = None, known: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Returns the config of a backbone, as far as it follows from the tensors.

    Args:
        tensors: All tensors of the backbone, by the backbone's own names.
        num_heads: Number of attention heads of a transformer, which does not follow from the tensors; None uses the
            number in ``known``, else the number of the usual transformer of this width and depth.
        known: Config with which the backbone was trained, if the checkpoint has it.

    Returns:
        ``known``, updated with ``type`` and the arguments that follow from the tensors. These are for ``ResNet``
        ``depth``, ``width``, ``width_per_group`` and ``stem``; for ``AdderResNet`` ``depth``, ``width`` and ``stem``;
        for ``AdderVGG`` and ``LeNet5BN`` ``width``; for ``VisionTransformer`` and ``PatchViT`` ``arch`` (a dict),
        ``img_size``, ``patch_size``, ``conv_stem`` and ``final_norm``; for ``BEiTViT`` ``arch``, ``img_size``,
        ``patch_size``, ``relative_table`` and ``layer_scale``; for ``CAEViT`` these and ``final_norm``; for ``CAPIViT``
        ``arch``, ``patch_size`` and ``registers``; for a Swin transformer the arguments of timm, with the smallest
        ``img_size`` that has such windows; for ``HiViT``, ``ConvViT``, ``AlexNet``, ``NIN`` and ``VGG16`` all arguments
        that change the tensors; for ``WideResNet`` ``depth``, ``width_factor`` and ``variant``, but not ``strides``;
        for ``PreActResNet`` ``depth`` and ``width``.

    Raises:
        UserError: Tensors of the backbone are missing, or the number of heads is needed and not known.
    """
    described = _describe(tensors, num_heads, dict(known or {}))
    stem = next((tensor for name, tensor in tensors.items() if tensor.ndim == 4 and name in _STEMS), None)
    if stem is not None and stem.shape[1] != 3:
        described['in_channels'] = stem.shape[1]
    return described


def _describe(tensors: Tensors, num_heads: int | None, known: dict[str, Any]) -> dict[str, Any]:
    match kind(tensors):
        case 'AdderResNet':
            return known | _adder_resnet(tensors)
        case 'AdderVGG':
            return known | dict(type='AdderVGG', width=len(tensors['stem.conv.weight']) / 128)
        case 'LeNet5BN':
            return known | dict(type='LeNet5BN', width=len(tensors['stem.conv.weight']) / 6)
        case 'ResNet' if known.get('type') == 'AdderResNet':  # built with adder=False, for comparison
            return known
        case 'ResNet':
            return known | _resnet(tensors)
        case 'VisionTransformer' | 'PatchViT':
            return known | _vision_transformer(tensors, num_heads, known)
        case 'MAE':
            width, depth, mlp_ratio = _transformer(below(tensors, 'neck'), 'embed.weight', 'norm.weight')
            encoder = _vision_transformer(below(tensors, 'backbone'), num_heads, known)
            return known | encoder | dict(decoder=dict(embed_dim=width, depth=depth, mlp_ratio=mlp_ratio))
        case 'BEiTViT':
            return known | _beit(tensors)
        case 'CAEViT':
            return known | _cae(tensors, num_heads, known)
        case 'CAPIViT':
            return known | _capi(tensors)
        case 'ConvViT':
            return known | _conv_vit(tensors, num_heads, known)
        case 'HiViT':
            return known | _hivit(tensors)
        case 'Swin':
            return _swin(tensors) | known
        case 'AlexNet':
            return known | _alexnet(tensors, known)
        case 'VGG16':
            return known | _vgg16(tensors, known)
        case 'NIN':
            return known | dict(type='NIN', num_stages=_stages(tensors), width=len(tensors[_FIRST]) / 192)
        case 'WideResNet':
            return known | _wide_resnet(tensors)
        case 'PreActResNet':
            return known | _preact_resnet(tensors)
    return known


def _resnet(tensors: Tensors) -> dict[str, Any]:
    counts = _blocks(tensors)
    is_bottleneck = 'layer1.0.conv3.weight' in tensors
    depths = [depth for depth, (_, of_depth) in DEPTHS.items() if of_depth == counts and (depth >= 50) == is_bottleneck]
    if not depths or 'conv1.weight' not in tensors:
        raise UserError(
            f'no ResNet of the depths {sorted(DEPTHS)} has {counts} blocks in its four stages: '
            'give the file of a whole backbone'
        )
    channels, _, kernel, _ = tensors['conv1.weight'].shape
    inner = len(tensors['layer1.0.conv1.weight'])
    return dict(
        type='ResNet',
        depth=depths[0],
        width=channels / 64,
        width_per_group=inner * 64 // channels,
        stem='imagenet' if kernel == 7 else 'small',
    )


def _adder_resnet(tensors: Tensors) -> dict[str, Any]:
    counts = tuple(count for count in _blocks(tensors) if count)
    depths = [depth for depth, (_, of_depth, _) in adder_resnet.DEPTHS.items() if of_depth == counts]
    if not depths or 'conv1.weight' not in tensors:
        raise UserError(
            f'no AdderResNet of the depths {sorted(adder_resnet.DEPTHS)} has {counts} blocks in its stages: '
            'give the file of a whole backbone'
        )
    channels, _, kernel, _ = tensors['conv1.weight'].shape
    width = channels / adder_resnet.DEPTHS[depths[0]][2]
    return dict(type='AdderResNet', depth=depths[0], width=width, stem='imagenet' if kernel == 7 else 'small')


def _blocks(tensors: Tensors) -> tuple[int, ...]:
    """Returns the number of blocks in each of four stages."""
    blocks = Counter(name[5] for name in tensors if re.fullmatch(r'layer\d\.\d+\.conv1\.(weight|adder)', name))
    return tuple(blocks[stage] for stage in '1234')


def _stages(tensors: Tensors) -> int:
    return 1 + max(int(name.split('.')[1]) for name in tensors if name.startswith('stages.'))


def _alexnet(tensors: Tensors, known: Mapping[str, Any]) -> dict[str, Any]:
    if _stages(tensors) < 5:
        raise UserError(
            'the file has fewer than the five convolutions of an AlexNet: give the file of a whole backbone'
        )
    channels = tuple(len(tensors[f'stages.{index}.0.conv.weight']) for index in range(5))
    stem = 'imagenet' if tensors[_FIRST].shape[-1] == 11 else 'small'
    described: dict[str, Any] = dict(type='AlexNet', channels=channels, stem=stem, sobel='stem.0.weight' in tensors)
    if 'fc.fc6.weight' in tensors:
        side = _side(tensors['fc.fc6.weight'].shape[1] // channels[-1])
        for _ in range(3):  # the smallest map that a pooling of 3 x 3 with stride 2 reduces to this side
            side = 2 * side + 1
        side = side if stem == 'small' else 4 * side + 3
        described.update(fc=_fc(tensors, known), img_size=side + -side % 8)
    return described


def _vgg16(tensors: Tensors, known: Mapping[str, Any]) -> dict[str, Any]:
    if _stages(tensors) < 5:
        raise UserError('the file has fewer than the five stages of a VGG16: give the file of a whole backbone')
    described: dict[str, Any] = dict(type='VGG16', width=len(tensors[_FIRST]) / 64, sobel='stem.0.weight' in tensors)
    if 'fc.fc6.weight' in tensors:
        pixels = tensors['fc.fc6.weight'].shape[1] // len(tensors['stages.4.0.conv.weight'])
        described.update(fc=_fc(tensors, known), img_size=32 * _side(pixels))
    return described


def _fc(tensors: Tensors, known: Mapping[str, Any]) -> dict[str, Any]:
    return dict(known.get('fc') or {}, width=len(tensors['fc.fc7.weight']), norm='fc.bn6.weight' in tensors)


def _wide_resnet(tensors: Tensors) -> dict[str, Any]:
    if _stages(tensors) < 3:
        raise UserError('the file has fewer than the three stages of a WideResNet: give the file of a whole backbone')
    blocks = 1 + max(int(name.split('.')[2]) for name in tensors if re.match(r'stages\.0\.\d+\.conv1', name))
    is_madry = 'stages.1.0.act1.bn.weight' in tensors
    return dict(
        type='WideResNet',
        depth=6 * blocks + (2 if is_madry else 4),
        width_factor=len(tensors['stages.0.0.conv1.weight']) // 16,
        variant='madry' if is_madry else 'zagoruyko',
    )


def _preact_resnet(tensors: Tensors) -> dict[str, Any]:
    stages = Counter(name.split('.')[1] for name in tensors if name.endswith('.conv1.weight'))
    blocks = tuple(stages[str(index)] for index in range(4))
    found = [depth for depth, numbers in preact_resnet.DEPTHS.items() if numbers == blocks]
    if not found:
        raise UserError(f'no PreActResNet has {blocks} blocks in its four stages: give the file of a whole backbone')
    return dict(type='PreActResNet', depth=found[0], width=len(tensors['stem.conv.weight']) / 64)


def _vision_transformer(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    dim, depth, mlp_ratio = _transformer(tensors, 'pos_embed')
    num_prefix = int('cls_token' in tensors)
    conv_stem = 'patch_embed.proj.weight' not in tensors
    patch_size = 16 if conv_stem else tensors['patch_embed.proj.weight'].shape[-1]
    heads = num_heads or _heads_of(known.get('arch')) or _usual_heads(dim, depth)
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
        img_size=_side(tensors['pos_embed'].shape[1] - num_prefix) * patch_size,
        patch_size=patch_size,
        conv_stem=conv_stem,
        final_norm='norm.weight' in tensors,
    )


def _beit(tensors: Tensors) -> dict[str, Any]:
    dim, depth, mlp_ratio = _transformer(tensors, 'cls_token', 'patch_embed.proj.weight', 'norm.weight')
    table = next(tensor for name, tensor in tensors.items() if name.endswith('relative_position_bias_table'))
    patch_size = tensors['patch_embed.proj.weight'].shape[-1]
    scale = tensors.get('blocks.0.gamma_1')
    return dict(
        type='BEiTViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=table.shape[1], mlp_ratio=mlp_ratio),
        img_size=(_side(len(table) - CLS_ROWS) + 1) // 2 * patch_size,  # n rows have 2 n - 1 differences
        patch_size=patch_size,
        relative_table='shared' if 'rel_pos_bias.relative_position_bias_table' in tensors else 'per-block',
        layer_scale=0 if scale is None else 0.1,
    )


def _cae(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    dim, depth, mlp_ratio = _transformer(tensors, 'cls_token', 'pos_embed', 'patch_embed.proj.weight')
    tables = [tensor for name, tensor in tensors.items() if name.endswith('relative_position_bias_table')]
    heads = tables[0].shape[1] if tables else num_heads or _heads_of(known.get('arch')) or _usual_heads(dim, depth)
    patch_size = tensors['patch_embed.proj.weight'].shape[-1]
    return dict(
        type='CAEViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=heads, mlp_ratio=mlp_ratio),
        img_size=_side(tensors['pos_embed'].shape[1] - 1) * patch_size,
        patch_size=patch_size,
        relative_table='per-block' if tables else 'none',
        layer_scale=0.1 if 'blocks.0.gamma_1' in tensors else 0,
        final_norm='norm.weight' in tensors,
    )


def _capi(tensors: Tensors) -> dict[str, Any]:
    needed = ('reg_token', 'patch_embed.proj.weight', 'blocks.0.attn.frequencies')
    dim, depth, mlp_ratio = _transformer(tensors, *needed)
    heads = dim // tensors['blocks.0.attn.frequencies'].shape[1]
    return dict(
        type='CAPIViT',
        arch=dict(embed_dim=dim, depth=depth, num_heads=heads, mlp_ratio=mlp_ratio),
        patch_size=tensors['patch_embed.proj.weight'].shape[-1],
        registers=tensors['reg_token'].shape[1],
    )


def _conv_vit(tensors: Tensors, num_heads: int | None, known: Mapping[str, Any]) -> dict[str, Any]:
    if 'embeds.0.proj.weight' not in tensors or 'pos_embed' not in tensors:
        raise UserError('the file lacks the stem or the positions of a ConvViT: give the file of a whole backbone')
    dims = tuple(len(tensors[f'embeds.{stage}.proj.weight']) for stage in range(3))
    counts = [len({name.split('.')[2] for name in tensors if name.startswith(f'stages.{stage}.')}) for stage in (0, 1)]
    depths = (*counts, len({name.split('.')[1] for name in tensors if name.startswith('blocks.')}))
    usual = conv_vit.ARCHS['base']
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
        img_size=_side(tensors['pos_embed'].shape[1]) * 4 * stride,
        stem_stride=stride,
        multi_scale='fuse.0.weight' in tensors,
        final_norm='norm.weight' in tensors,
    )


def _hivit(tensors: Tensors) -> dict[str, Any]:
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
        arch=next((name for name, usual in hivit.ARCHS.items() if usual == arch), arch),
        img_size=_side(patches) * 4 * stride,
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


def _swin(tensors: Tensors) -> dict[str, Any]:
    stages = 1 + max(int(name.split('.')[2]) for name in tensors if name.startswith('model.layers.'))
    blocks = Counter(int(name.split('.')[2]) for name in tensors if name.endswith('attn.qkv.weight'))
    tables = [tensors[f'model.layers.{stage}.blocks.0.attn.relative_position_bias_table'] for stage in range(stages)]
    windows = [(_side(len(table)) + 1) // 2 for table in tables]
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


def _side(number: int) -> int:
    """Returns the number of rows of a square of ``number`` positions."""
    rows = round(number**0.5)
    if rows * rows != number:
        raise UserError(f'{number} positions do not form a square: give the file of a backbone for square images')
    return rows


def _heads_of(arch: Any) -> int | None:
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

"""timm: residual networks of width 1, ViT and BEiT transformers, and all models in a ``TimmBackbone``."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mmssl.converters.libraries.torchvision import small_stem
from mmssl.converters.library import Layout, Library, channels_option, num_channels, output_stride, usage_of_tensors
from mmssl.converters.source import RESNET, SCALED_VIT, VIT, Tensors
from mmssl.converters.sources.beit import BEIT
from mmssl.converters.sources.cae import CAE
from mmssl.models.backbones.resnet import DEPTHS
from mmssl.models.layers.batch_subset_block import gated_width
from mmssl.utils.errors import UserError

_in_chans = partial(channels_option, name='in_chans')


def _resnet(backbone: Mapping[str, Any]) -> str:
    if backbone['width'] != 1:
        raise UserError(f'timm has no residual network of width {backbone["width"]:g}, only of width 1')
    block, blocks = DEPTHS[backbone['depth']]
    wide = f', base_width={backbone["width_per_group"]}' if backbone['width_per_group'] != 64 else ''
    wide += '' if output_stride(backbone) == 32 else f', output_stride={output_stride(backbone)}'
    model = (
        f'timm.models.ResNet(timm.models.resnet.{block.__name__}, {blocks}, num_classes=0{wide}{_in_chans(backbone)})\n'
    )
    return f'model = {model}{small_stem(num_channels(backbone)) if backbone["stem"] == "small" else ""}'


def _vision_transformer(backbone: Mapping[str, Any]) -> str:
    if backbone['conv_stem']:
        raise UserError('timm has no plain vision transformer with a convolutional stem')
    arch, norm = backbone['arch'], '' if backbone['final_norm'] else ', final_norm=False'
    if 'registers' in arch:
        norm += f', reg_tokens={arch["registers"]}, no_embed_class=True'
    if 'layer_scale' in arch:
        norm += f', init_values={arch["layer_scale"]}'
    ratio = arch['mlp_ratio']
    if arch.get('ffn') == 'swiglu':
        ratio = 2 * gated_width(int(arch['embed_dim'] * ratio)) / arch['embed_dim']
        norm += ', mlp_layer=timm.layers.SwiGLUPacked, act_layer=torch.nn.SiLU'
    token = ", class_token=False, global_pool='avg', fc_norm=False" if backbone['type'] == 'PatchViT' else ''
    return (
        'model = timm.models.VisionTransformer(\n'
        f'    img_size={backbone["img_size"]}, patch_size={backbone["patch_size"]}, embed_dim={arch["embed_dim"]}, '
        f'depth={arch["depth"]},\n'
        f'    num_heads={arch["num_heads"]}, mlp_ratio={ratio}, num_classes=0{_in_chans(backbone)}{norm}{token},\n'
        ")  # for the mean of the patches instead of the class token: global_pool='avg', fc_norm=False\n"
    )


def _without_position_of_class_token(tensors: Tensors) -> Tensors:
    """Adds the position of the class token to the token of a model with registers, as timm keeps these models."""
    if 'reg_token' not in tensors:
        return tensors
    position, patches = tensors['pos_embed'].tensor_split([1], dim=1)
    return {**tensors, 'cls_token': tensors['cls_token'] + position, 'pos_embed': patches}


def _beit(backbone: Mapping[str, Any]) -> str:
    arch, table, fixed = backbone['arch'], backbone['relative_table'], backbone['type'] == 'CAEViT'
    return (
        'model = timm.models.beit.Beit(\n'
        f'    img_size={backbone["img_size"]}, patch_size={backbone["patch_size"]}, embed_dim={arch["embed_dim"]}, '
        f'depth={arch["depth"]},\n'
        f'    num_heads={arch["num_heads"]}, mlp_ratio={arch["mlp_ratio"]}, num_classes=0, use_abs_pos_emb={fixed},\n'
        f'    init_values={backbone["layer_scale"] or None}, use_rel_pos_bias={table == "per-block"}, '
        f'use_shared_rel_pos_bias={table == "shared"}{_in_chans(backbone)},\n'
        "    global_pool='token',\n"
        ")  # for the mean of the patches instead of the class token: global_pool='avg', use_fc_norm=False\n"
    )


def _any(backbone: Mapping[str, Any]) -> str:
    if backbone.get('out_indices') is not None:
        raise UserError(
            'a timm model with out_indices has other names than a classifier: export a backbone without out_indices'
        )
    own = ('type', 'out_indices', 'pool', 'pretrained', 'init_cfg', 'in_channels')
    options = {key: value for key, value in backbone.items() if key not in own}
    if num_channels(backbone) != 3:
        options['in_chans'] = num_channels(backbone)
    arguments = [repr(options.pop('name', 'the name that it was trained with')), 'num_classes=0']
    arguments += [f'{name}={value!r}' for name, value in options.items()]
    return f'model = timm.create_model({", ".join(arguments)})\n'


_ANY = Layout(patterns=((r'model\.(.+)', r'\1'),), model=_any)

LIBRARY = Library(
    layouts={
        'ResNet': Layout(patterns=((RESNET, r'\g<0>'),), model=_resnet),
        'VisionTransformer': Layout(
            patterns=((SCALED_VIT, r'\g<0>'),), model=_vision_transformer, prepare=_without_position_of_class_token
        ),
        'PatchViT': Layout(patterns=((VIT, r'\g<0>'),), model=_vision_transformer),
        'BEiTViT': Layout(patterns=((BEIT, r'\g<0>'),), model=_beit),
        'CAEViT': Layout(patterns=((CAE, r'\g<0>'),), model=_beit),
        'Swin': _ANY,
        'TimmBackbone': _ANY,
    },
    usage=partial(usage_of_tensors, 'timm'),
    suffixes=('.pth', '.safetensors'),
    instead='use the backbone from mmssl',
)

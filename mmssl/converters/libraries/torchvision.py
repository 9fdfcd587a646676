"""torchvision: residual networks of width 1, and vision transformers."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from mmssl.converters.library import Layout, Library, num_channels, output_stride, usage_of_tensors
from mmssl.converters.source import RESNET
from mmssl.utils.errors import UserError

_BLOCK = r'encoder.layers.encoder_layer_\1'


def small_stem(channels: int = 3) -> str:
    """Returns code that gives a ResNet the stem for small images, which have so many channels."""
    return (
        f'model.conv1 = torch.nn.Conv2d({channels}, 64, 3, padding=1, bias=False)  # stem for small images\n'
        'model.maxpool = torch.nn.Identity()\n'
    )


def _check_channels(backbone: Mapping[str, Any]) -> None:
    if num_channels(backbone) != 3:
        raise UserError(
            f'the models of torchvision take images of 3 channels, and this backbone takes {num_channels(backbone)}: '
            'export to timm, or use the backbone from mmssl'
        )


def _resnet(backbone: Mapping[str, Any]) -> str:
    _check_channels(backbone)
    if backbone['width'] != 1:
        raise UserError(f'torchvision has no residual network of width {backbone["width"]:g}, only of width 1')
    options = [f'width_per_group={backbone["width_per_group"]}'] if backbone['width_per_group'] != 64 else []
    if (stride := output_stride(backbone)) < 32:
        options.append(f'replace_stride_with_dilation=[False, {stride == 8}, True]')
    stem = small_stem() if backbone['stem'] == 'small' else ''
    model = f'torchvision.models.resnet{backbone["depth"]}({", ".join(options)})'
    return f'model = {model}\n{stem}model.fc = torch.nn.Identity()\n'


def _vision_transformer(backbone: Mapping[str, Any]) -> str:
    _check_channels(backbone)
    if backbone['conv_stem']:
        raise UserError('a transformer with a convolutional stem cannot be exported to torchvision')
    if not backbone['final_norm']:
        raise UserError('torchvision has no vision transformer without a norm after its last block')
    arch = backbone['arch']
    if arch.get('ffn') == 'swiglu':
        raise UserError('torchvision has no vision transformer with SwiGLU layers: export to timm')
    return (
        'model = torchvision.models.VisionTransformer(\n'
        f'    image_size={backbone["img_size"]}, patch_size={backbone["patch_size"]}, num_layers={arch["depth"]}, '
        f'num_heads={arch["num_heads"]},\n'
        f'    hidden_dim={arch["embed_dim"]}, mlp_dim={round(arch["embed_dim"] * arch["mlp_ratio"])},\n'
        ')\n'
        'model.heads = torch.nn.Identity()\n'
    )


LIBRARY = Library(
    layouts={
        'ResNet': Layout(patterns=((RESNET, r'\g<0>'),), model=_resnet),
        'VisionTransformer': Layout(
            patterns=(
                ('cls_token', 'class_token'),
                ('pos_embed', 'encoder.pos_embedding'),
                (r'patch_embed\.proj\.(\w+)', r'conv_proj.\1'),
                (r'norm\.(\w+)', r'encoder.ln.\1'),
                (r'blocks\.(\d+)\.norm([12])\.(\w+)', rf'{_BLOCK}.ln_\2.\3'),
                (r'blocks\.(\d+)\.attn\.qkv\.(\w+)', rf'{_BLOCK}.self_attention.in_proj_\2'),
                (r'blocks\.(\d+)\.attn\.proj\.(\w+)', rf'{_BLOCK}.self_attention.out_proj.\2'),
                (r'blocks\.(\d+)\.mlp\.fc1\.(\w+)', rf'{_BLOCK}.mlp.0.\2'),
                (r'blocks\.(\d+)\.mlp\.fc2\.(\w+)', rf'{_BLOCK}.mlp.3.\2'),
            ),
            model=_vision_transformer,
        ),
    },
    usage=partial(usage_of_tensors, 'torchvision'),
    suffixes=('.pth', '.safetensors'),
    instead='export to timm, or use the backbone from mmssl',
)

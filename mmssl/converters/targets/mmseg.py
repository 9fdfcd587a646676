"""mmseg: residual networks and vision transformers; any other backbone comes from mmssl by its name."""

from collections.abc import Mapping
from typing import Any

from mmssl.converters.source import RESNET
from mmssl.converters.target import Layout, Target
from mmssl.converters.targets.mmdet import resnet
from mmssl.utils.errors import UserError


def _vision_transformer(backbone: Mapping[str, Any]) -> str:
    arch, size = backbone['arch'], backbone['img_size']
    if backbone['conv_stem'] or arch['mlp_ratio'] % 1:
        raise UserError(
            "mmseg's VisionTransformer has no convolutional stem and takes a whole mlp_ratio only: write "
            "type='mmssl.VisionTransformer' into the config and give it the file of --to mmssl"
        )
    return (
        f"type='mmseg.VisionTransformer', img_size=({size}, {size}), patch_size={backbone['patch_size']}, "
        f'embed_dims={arch["embed_dim"]}, num_layers={arch["depth"]}, num_heads={arch["num_heads"]}, '
        f'mlp_ratio={round(arch["mlp_ratio"])}, patch_bias=True, final_norm=True, '
        "norm_cfg=dict(type='LN', eps=1e-6), act_cfg=dict(type='GELU')"
    )


def _usage(model: str, file: str) -> str:
    return f"backbone=dict({model}, init_cfg=dict(type='Pretrained', checkpoint='{file}'))"


TARGET = Target(
    layouts={
        'ResNet': Layout(
            patterns=((RESNET, r'\g<0>'),), model=lambda backbone: f"type='mmseg.ResNet', {resnet(backbone)}"
        ),
        'VisionTransformer': Layout(
            patterns=(
                (r'cls_token|pos_embed', r'\g<0>'),
                (r'patch_embed\.proj\.(\w+)', r'patch_embed.projection.\1'),
                (r'norm\.(\w+)', r'ln1.\1'),
                (r'blocks\.(\d+)\.norm([12])\.(\w+)', r'layers.\1.ln\2.\3'),
                (r'blocks\.(\d+)\.attn\.qkv\.(\w+)', r'layers.\1.attn.attn.in_proj_\2'),
                (r'blocks\.(\d+)\.attn\.proj\.(\w+)', r'layers.\1.attn.attn.out_proj.\2'),
                (r'blocks\.(\d+)\.mlp\.fc1\.(\w+)', r'layers.\1.ffn.layers.0.0.\2'),
                (r'blocks\.(\d+)\.mlp\.fc2\.(\w+)', r'layers.\1.ffn.layers.1.\2'),
            ),
            model=_vision_transformer,
        ),
    },
    usage=_usage,
    instead="write type='mmssl.<the backbone>' into mmseg's config and give it the file of --to mmssl",
)

"""mmseg: residual networks, ViT, BEiT and Swin transformers; use other backbones by ``type='mmssl.<name>'``."""

from collections.abc import Mapping
from typing import Any

from mmssl.converters.libraries.mmdet import SWIN_PATTERNS, prepare_swin, resnet, swin
from mmssl.converters.library import Layout, Library, channels_option, output_stride
from mmssl.converters.source import RESNET, Tensors
from mmssl.utils.errors import UserError

TABLE = 'relative_position_bias_table'
SHARED_TABLE = f'rel_pos_bias.{TABLE}'
_COMMON = (
    (r'cls_token|pos_embed', r'\g<0>'),
    (r'patch_embed\.proj\.(\w+)', r'patch_embed.projection.\1'),
    (r'norm\.(\w+)', r'ln1.\1'),
    (r'blocks\.(\d+)\.norm([12])\.(\w+)', r'layers.\1.ln\2.\3'),
    (r'blocks\.(\d+)\.mlp\.fc1\.(\w+)', r'layers.\1.ffn.layers.0.0.\2'),
    (r'blocks\.(\d+)\.mlp\.fc2\.(\w+)', r'layers.\1.ffn.layers.1.\2'),
)


_DILATION = {
    32: '',
    16: ', strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), contract_dilation=True',
    8: ', strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True',
}  # output stride of a ResNet -> options of mmseg


def _resnet(backbone: Mapping[str, Any]) -> str:
    return f"type='mmseg.ResNet', {resnet(backbone)}{_DILATION[output_stride(backbone)]}"


def _vision_transformer(backbone: Mapping[str, Any]) -> str:
    arch, size = backbone['arch'], backbone['img_size']
    if backbone['conv_stem'] or arch['mlp_ratio'] % 1 or arch.get('ffn') == 'swiglu':
        raise UserError(
            "mmseg's VisionTransformer has no convolutional stem, no SwiGLU layers and needs an integer mlp_ratio: "
            "write type='mmssl.VisionTransformer' into the config, with the file of --to mmssl"
        )
    return (
        f"type='mmseg.VisionTransformer', img_size=({size}, {size}), patch_size={backbone['patch_size']}, "
        f'embed_dims={arch["embed_dim"]}, num_layers={arch["depth"]}, num_heads={arch["num_heads"]}, '
        f'mlp_ratio={round(arch["mlp_ratio"])}, patch_bias=True, final_norm={backbone["final_norm"]}, '
        f"norm_cfg=dict(type='LN', eps=1e-6), act_cfg=dict(type='GELU'){channels_option(backbone, 'in_channels')}"
    )


def _beit(backbone: Mapping[str, Any]) -> str:
    arch, size = backbone['arch'], backbone['img_size']
    if not backbone['layer_scale'] or arch['mlp_ratio'] % 1:
        raise UserError(
            "mmseg's BEiT always scales residual branches and needs an integer mlp_ratio: write type='mmssl.BEiTViT' "
            'into the config, with the file of --to mmssl'
        )
    return (
        f"type='mmseg.BEiT', img_size=({size}, {size}), patch_size={backbone['patch_size']}, "
        f'embed_dims={arch["embed_dim"]}, num_layers={arch["depth"]}, num_heads={arch["num_heads"]}, '
        f'mlp_ratio={round(arch["mlp_ratio"])}, final_norm=True, '
        f"norm_cfg=dict(type='LN', eps=1e-6), act_cfg=dict(type='GELU'){channels_option(backbone, 'in_channels')}"
    )


def table_per_block(tensors: Tensors) -> Tensors:
    """Copies the table of relative positions that all blocks share to every block."""
    others = {name: tensor for name, tensor in tensors.items() if name != SHARED_TABLE}
    if SHARED_TABLE in tensors:
        blocks = {name.split('.')[1] for name in tensors if name.startswith('blocks.')}
        others |= {f'blocks.{block}.attn.{TABLE}': tensors[SHARED_TABLE] for block in blocks}
    return others


def _usage(model: str, file: str) -> str:
    return f"backbone=dict({model}, init_cfg=dict(type='Pretrained', checkpoint={file!r}))"


LIBRARY = Library(
    layouts={
        'ResNet': Layout(patterns=((RESNET, r'\g<0>'),), model=_resnet),
        'Swin': Layout(
            patterns=SWIN_PATTERNS,
            model=lambda backbone: f"type='mmseg.SwinTransformer', {swin(backbone)}",
            prepare=prepare_swin,
        ),
        'VisionTransformer': Layout(
            patterns=(
                *_COMMON,
                (r'blocks\.(\d+)\.attn\.qkv\.(\w+)', r'layers.\1.attn.attn.in_proj_\2'),
                (r'blocks\.(\d+)\.attn\.proj\.(\w+)', r'layers.\1.attn.attn.out_proj.\2'),
            ),
            model=_vision_transformer,
        ),
        'BEiTViT': Layout(
            patterns=(
                *_COMMON,
                (r'blocks\.(\d+)\.(gamma_[12])', r'layers.\1.\2'),
                (rf'blocks\.(\d+)\.attn\.([qv]_bias|qkv\.weight|{TABLE}|proj\.\w+)', r'layers.\1.attn.\2'),
            ),
            model=_beit,
            prepare=table_per_block,
        ),
    },
    usage=_usage,
    instead="write type='mmssl.<the backbone>' into mmseg's config, with the file of --to mmssl",
)

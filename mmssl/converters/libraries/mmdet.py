"""mmdet: residual networks and Swin transformers; use other backbones by ``type='mmssl.<name>'``."""

from collections.abc import Mapping
from typing import Any

from mmssl.converters.library import Layout, Library, channels_option, output_stride
from mmssl.converters.source import RESNET, Tensors
from mmssl.utils.errors import UserError


def _resnet(backbone: Mapping[str, Any]) -> str:
    if output_stride(backbone) != 32:
        raise UserError(
            "mmdet's ResNet dilates the first block of a stage more than the pre-trained network: write "
            "type='mmssl.ResNet' into the config, with the file of --to mmssl"
        )
    return f"type='mmdet.ResNet', {resnet(backbone)}"


def resnet(backbone: Mapping[str, Any]) -> str:
    """Returns the config of mmdet's and mmseg's ``ResNet`` without ``type``, as code."""
    if backbone['stem'] != 'imagenet' or backbone['width_per_group'] != 64:
        raise UserError(
            'the ResNet of mmdet and mmseg supports only the ImageNet stem and width_per_group=64: write '
            "type='mmssl.ResNet' into the config, with the file of --to mmssl"
        )
    wide = f', stem_channels={round(64 * backbone["width"])}, base_channels={round(64 * backbone["width"])}'
    return (
        f'depth={backbone["depth"]}{wide if backbone["width"] != 1 else ""}{channels_option(backbone, "in_channels")}'
    )


def swin(backbone: Mapping[str, Any]) -> str:
    """Returns the config of mmdet's and mmseg's ``SwinTransformer`` without ``type``, as code."""
    if backbone['img_size'] < backbone['patch_size'] * 2 ** (len(backbone['depths']) - 1) * backbone['window_size']:
        raise UserError(
            'the last stage has smaller windows than the others, which the SwinTransformer of mmdet and mmseg does not '
            "support: write type='mmssl.TimmBackbone' into the config, with the file of --to mmssl"
        )
    stages = len(backbone['depths'])
    return (
        f'pretrain_img_size={backbone["img_size"]}, embed_dims={backbone["embed_dim"]}, '
        f'patch_size={backbone["patch_size"]}, window_size={backbone["window_size"]}, '
        f'mlp_ratio={backbone["mlp_ratio"]:g}, depths={tuple(backbone["depths"])}, '
        f'num_heads={tuple(backbone["num_heads"])}, strides={(backbone["patch_size"], *[2] * (stages - 1))}, '
        f'out_indices={tuple(range(stages))}{channels_option(backbone, "in_channels")}'
    )


def _merge_as_unfold(tensors: Tensors) -> Tensors:
    """Reorders the inputs of patch merging from timm's order to mmdet's.

    timm concatenates the channels of patches (row, column) = 00, 10, 01, 11; mmdet has for each channel the values of
    patches 00, 01, 10, 11.
    """
    return {
        name: tensor.unflatten(-1, (4, -1))[..., [0, 2, 1, 3], :].mT.flatten(-2) if '.downsample.' in name else tensor
        for name, tensor in tensors.items()
    }


_BLOCK = r'stages.\1.blocks.\2'
SWIN_PATTERNS = (
    (r'model\.patch_embed\.proj\.(\w+)', r'patch_embed.projection.\1'),
    (r'norm\d\.\w+', r'\g<0>'),
    (r'model\.patch_embed\.norm\.(\w+)', r'patch_embed.norm.\1'),
    *((rf'model\.layers\.{i + 1}\.downsample\.(\w+\.\w+)', rf'stages.{i}.downsample.\1') for i in range(3)),
    (r'model\.layers\.(\d)\.blocks\.(\d+)\.(norm[12]\.\w+)', rf'{_BLOCK}.\3'),
    (r'model\.layers\.(\d)\.blocks\.(\d+)\.attn\.(.+)', rf'{_BLOCK}.attn.w_msa.\3'),
    (r'model\.layers\.(\d)\.blocks\.(\d+)\.mlp\.fc1\.(\w+)', rf'{_BLOCK}.ffn.layers.0.0.\3'),
    (r'model\.layers\.(\d)\.blocks\.(\d+)\.mlp\.fc2\.(\w+)', rf'{_BLOCK}.ffn.layers.1.\3'),
)


def prepare_swin(tensors: Tensors) -> Tensors:
    """Returns tensors for ``SWIN_PATTERNS``; the final norm becomes the norm of the last map, such as ``norm3``."""
    last = max(int(name.split('.')[2]) for name in tensors if name.startswith('model.layers.'))
    tensors = _merge_as_unfold(tensors)
    return {name.replace('model.norm.', f'norm{last}.'): tensor for name, tensor in tensors.items()}


def _usage(model: str, file: str) -> str:
    return f"backbone=dict({model}, init_cfg=dict(type='Pretrained', checkpoint={file!r}))"


LIBRARY = Library(
    layouts={
        'ResNet': Layout(patterns=((RESNET, r'\g<0>'),), model=_resnet),
        'Swin': Layout(
            patterns=SWIN_PATTERNS,
            model=lambda backbone: f"type='mmdet.SwinTransformer', {swin(backbone)}",
            prepare=prepare_swin,
        ),
    },
    usage=_usage,
    instead="write type='mmssl.<the backbone>' into mmdet's config, with the file of --to mmssl",
)

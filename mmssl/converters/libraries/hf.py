"""Hugging Face transformers: ResNet, ViT, BEiT, Swin and ViTMAE, as folders for ``from_pretrained``.

The names are those of the files on the hub, which every version of the library reads.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from mmssl.converters.library import Layout, Library, num_channels, output_stride
from mmssl.converters.source import Tensors
from mmssl.models.backbones.resnet import DEPTHS
from mmssl.utils.errors import UserError

_LAYER = r'encoder.layer.\1'
_TABLE = 'relative_position_bias_table'
_TRANSFORMER = (
    ('cls_token', 'embeddings.cls_token'),
    ('pos_embed', 'embeddings.position_embeddings'),
    (r'patch_embed\.proj\.(\w+)', r'embeddings.patch_embeddings.projection.\1'),
    (r'norm\.(\w+)', r'layernorm.\1'),
    (r'blocks\.(\d+)\.norm1\.(\w+)', rf'{_LAYER}.layernorm_before.\2'),
    (r'blocks\.(\d+)\.norm2\.(\w+)', rf'{_LAYER}.layernorm_after.\2'),
    (r'blocks\.(\d+)\.attn\.(query|key|value)\.(\w+)', rf'{_LAYER}.attention.attention.\2.\3'),
    (r'blocks\.(\d+)\.attn\.proj\.(\w+)', rf'{_LAYER}.attention.output.dense.\2'),
    (r'blocks\.(\d+)\.mlp\.fc1\.(\w+)', rf'{_LAYER}.intermediate.dense.\2'),
    (r'blocks\.(\d+)\.mlp\.fc2\.(\w+)', rf'{_LAYER}.output.dense.\2'),
)


def _resnet(backbone: Mapping[str, Any]) -> dict[str, Any]:
    if backbone['stem'] != 'imagenet' or backbone['width_per_group'] != 64:
        raise UserError('the ResNet of transformers supports only the ImageNet stem and width_per_group=64')
    if output_stride(backbone) != 32:
        raise UserError('the ResNet of transformers has no dilation: export to timm or torchvision')
    block, blocks = DEPTHS[backbone['depth']]
    channels = round(64 * backbone['width'])
    return dict(
        architectures=['ResNetModel'],
        model_type='resnet',
        num_channels=num_channels(backbone),
        embedding_size=channels,
        hidden_sizes=[channels * block.expansion * 2**stage for stage in range(4)],
        depths=list(blocks),
        layer_type='bottleneck' if block.expansion == 4 else 'basic',
        hidden_act='relu',
        downsample_in_first_stage=False,
        downsample_in_bottleneck=False,
    )


def _vision_transformer(backbone: Mapping[str, Any]) -> dict[str, Any]:
    if backbone['conv_stem']:
        raise UserError('the ViT of transformers has no convolutional stem')
    if not backbone['final_norm']:
        raise UserError('the ViT of transformers always has a norm after its last block')
    if backbone['arch'].get('ffn') == 'swiglu':
        raise UserError('the ViT of transformers has no SwiGLU layers: export to timm')
    return dict(architectures=['ViTModel'], model_type='vit', qkv_bias=True, **_common(backbone))


def _mae(backbone: Mapping[str, Any]) -> dict[str, Any]:
    decoder = backbone['decoder']
    if decoder['embed_dim'] != 512:
        raise UserError(
            'only a decoder of width 512, which has 16 attention heads, can be exported, because the number of heads '
            f'does not follow from the tensors; this decoder has width {decoder["embed_dim"]}'
        )
    return dict(
        architectures=['ViTMAEForPreTraining'],
        model_type='vit_mae',
        qkv_bias=True,
        decoder_hidden_size=decoder['embed_dim'],
        decoder_num_hidden_layers=decoder['depth'],
        decoder_num_attention_heads=16,
        decoder_intermediate_size=round(decoder['embed_dim'] * decoder['mlp_ratio']),
        mask_ratio=0.75,
        norm_pix_loss=True,
        **_common(backbone),
    )


def _beit(backbone: Mapping[str, Any]) -> dict[str, Any]:
    return dict(
        architectures=['BeitModel'],
        model_type='beit',
        use_relative_position_bias=backbone['relative_table'] == 'per-block',
        use_shared_relative_position_bias=backbone['relative_table'] == 'shared',
        use_absolute_position_embeddings=False,
        use_mean_pooling=False,
        layer_scale_init_value=backbone['layer_scale'],
        drop_path_rate=0.0,
        **_common(backbone),
    )


def _swin(backbone: Mapping[str, Any]) -> dict[str, Any]:
    if backbone['img_size'] < backbone['patch_size'] * 2 ** (len(backbone['depths']) - 1) * backbone['window_size']:
        raise UserError(
            'the last stage has smaller windows than the others, which the Swin of transformers does not support'
        )
    return dict(
        architectures=['SwinModel'],
        model_type='swin',
        num_channels=num_channels(backbone),
        **{name: backbone[name] for name in ('patch_size', 'window_size', 'embed_dim', 'mlp_ratio')},
        image_size=backbone['img_size'],
        depths=list(backbone['depths']),
        num_heads=list(backbone['num_heads']),
        qkv_bias=True,
        hidden_act='gelu',
        layer_norm_eps=1e-5,
        use_absolute_embeddings=False,
        drop_path_rate=0.0,
    )


def _common(backbone: Mapping[str, Any]) -> dict[str, Any]:
    arch = backbone['arch']
    return dict(
        num_channels=num_channels(backbone),
        image_size=backbone['img_size'],
        patch_size=backbone['patch_size'],
        hidden_size=arch['embed_dim'],
        num_hidden_layers=arch['depth'],
        num_attention_heads=arch['num_heads'],
        intermediate_size=round(arch['embed_dim'] * arch['mlp_ratio']),
        hidden_act='gelu',
        layer_norm_eps=1e-6,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _split_qkv(tensors: Tensors) -> Tensors:
    """Splits the projection of query, key and value: (3 D, ...) -> three times (D, ...)."""
    split: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if '.attn.qkv.' in name:
            thirds = zip(('query', 'key', 'value'), tensor.chunk(3))
            split |= {name.replace('qkv', part): third for part, third in thirds}
        else:
            split[name.replace('q_bias', 'query.bias').replace('v_bias', 'value.bias')] = tensor
    return split


def _usage(config: dict[str, Any], folder: str) -> str:
    options = '' if config['model_type'] in ('resnet', 'swin', 'vit_mae') else ', add_pooling_layer=False'
    name = config['architectures'][0]
    return f'from transformers import {name}\n\nmodel = {name}.from_pretrained({folder!r}{options})'


LIBRARY = Library(
    layouts={
        'MAE': Layout(
            patterns=(
                *((rf'backbone\.{ours}', f'vit.{theirs}') for ours, theirs in _TRANSFORMER),
                (r'neck\.(mask_token)', r'decoder.\1'),
                (r'neck\.(pos_embed|embed\.\w+|norm\.\w+)', r'decoder.decoder_\1'),
                (r'neck\.predict\.(\w+)', r'decoder.decoder_pred.\1'),
                *(
                    (rf'neck\.{ours}', theirs.replace('encoder.layer.', 'decoder.decoder_layers.'))
                    for ours, theirs in _TRANSFORMER
                    if ours.startswith('blocks')
                ),
            ),
            model=_mae,
            prepare=_split_qkv,
        ),
        'ResNet': Layout(
            patterns=(
                (r'conv1\.weight', 'embedder.embedder.convolution.weight'),
                (r'bn1\.(\w+)', r'embedder.embedder.normalization.\1'),
                *(
                    (rf'layer{stage + 1}\.(\d+)\.{theirs}', rf'encoder.stages.{stage}.layers.\1.{ours}')
                    for stage in range(4)
                    for theirs, ours in (
                        (r'downsample\.0\.(\w+)', r'shortcut.convolution.\2'),
                        (r'downsample\.1\.(\w+)', r'shortcut.normalization.\2'),
                        *((rf'conv{i + 1}\.(\w+)', rf'layer.{i}.convolution.\2') for i in range(3)),
                        *((rf'bn{i + 1}\.(\w+)', rf'layer.{i}.normalization.\2') for i in range(3)),
                    )
                ),
            ),
            model=_resnet,
        ),
        'VisionTransformer': Layout(patterns=_TRANSFORMER, model=_vision_transformer, prepare=_split_qkv),
        'BEiTViT': Layout(
            patterns=(
                *_TRANSFORMER,
                (rf'rel_pos_bias\.({_TABLE})', r'encoder.relative_position_bias.\1'),
                (rf'blocks\.(\d+)\.attn\.({_TABLE})', rf'{_LAYER}.attention.attention.relative_position_bias.\2'),
                (r'blocks\.(\d+)\.gamma_([12])', rf'{_LAYER}.lambda_\2'),
            ),
            model=_beit,
            prepare=_split_qkv,
        ),
        'Swin': Layout(
            patterns=(
                (r'model\.patch_embed\.proj\.(\w+)', r'embeddings.patch_embeddings.projection.\1'),
                (r'model\.patch_embed\.norm\.(\w+)', r'embeddings.norm.\1'),
                (r'model\.norm\.(\w+)', r'layernorm.\1'),
                *(
                    (rf'model\.layers\.{i + 1}\.downsample\.(\w+\.\w+)', rf'encoder.layers.{i}.downsample.\1')
                    for i in range(3)
                ),
                *(
                    (rf'model\.layers\.(\d)\.blocks\.(\d+)\.{ours}', rf'encoder.layers.\1.blocks.\2.{theirs}')
                    for ours, theirs in (
                        (r'norm1\.(\w+)', r'layernorm_before.\3'),
                        (r'norm2\.(\w+)', r'layernorm_after.\3'),
                        (rf'attn\.({_TABLE}|(?:query|key|value)\.\w+)', r'attention.self.\3'),
                        (r'attn\.proj\.(\w+)', r'attention.output.dense.\3'),
                        (r'mlp\.fc1\.(\w+)', r'intermediate.dense.\3'),
                        (r'mlp\.fc2\.(\w+)', r'output.dense.\3'),
                    )
                ),
            ),
            model=_swin,
            prepare=_split_qkv,
        ),
    },
    usage=_usage,
    instead='export to timm, or use the backbone from mmssl',
    suffixes=('',),
)

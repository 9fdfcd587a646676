"""Hugging Face transformers: ``ResNetModel`` and ``ViTModel``, as the folder that ``from_pretrained`` reads."""

from collections.abc import Mapping
from typing import Any

from mmssl.converters.source import Tensors
from mmssl.converters.target import Layout, Target
from mmssl.models.backbones.resnet import DEPTHS
from mmssl.utils.errors import UserError

_LAYER = r'encoder.layer.\1'


def _resnet(backbone: Mapping[str, Any]) -> dict[str, Any]:
    if backbone['stem'] != 'imagenet' or backbone['width_per_group'] != 64:
        raise UserError('the ResNet of transformers has neither another stem nor another inner width')
    block, blocks = DEPTHS[backbone['depth']]
    channels = round(64 * backbone['width'])
    return dict(
        architectures=['ResNetModel'],
        model_type='resnet',
        num_channels=3,
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
    arch = backbone['arch']
    return dict(
        architectures=['ViTModel'],
        model_type='vit',
        num_channels=3,
        image_size=backbone['img_size'],
        patch_size=backbone['patch_size'],
        hidden_size=arch['embed_dim'],
        num_hidden_layers=arch['depth'],
        num_attention_heads=arch['num_heads'],
        intermediate_size=round(arch['embed_dim'] * arch['mlp_ratio']),
        hidden_act='gelu',
        layer_norm_eps=1e-6,
        qkv_bias=True,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def _split_qkv(tensors: Tensors) -> Tensors:
    """Query, key and value apart: (3 D, ...) -> three times (D, ...)."""
    split = {}
    for name, tensor in tensors.items():
        if '.attn.qkv.' in name:
            thirds = zip(('query', 'key', 'value'), tensor.chunk(3))
            split |= {name.replace('qkv', part): third for part, third in thirds}
        else:
            split[name] = tensor
    return split


def _usage(config: dict[str, Any], folder: str) -> str:
    options = ', add_pooling_layer=False' if config['model_type'] == 'vit' else ''
    name = config['architectures'][0]
    return f"from transformers import {name}\n\nmodel = {name}.from_pretrained('{folder}'{options})"


TARGET = Target(
    layouts={
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
        'VisionTransformer': Layout(
            patterns=(
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
            ),
            model=_vision_transformer,
            prepare=_split_qkv,
        ),
    },
    usage=_usage,
    instead='export to timm, or use the backbone from mmssl',
    suffixes=('',),
)

"""Hugging Face transformers: ViT, DINOv2 with or without registers, ViTMAE, IJEPA, ViTMSN and ResNet."""

import torch

from mmssl.converters.source import Source, Tensors

_MODEL = r'(?:(?:vit|dinov2|dinov2_with_registers|ijepa|vit_msn|resnet)\.)?'
_PARTS = ('query', 'key', 'value')


def _joined(tensors: Tensors) -> Tensors:
    """Joins query, key and value, three times (D, ...), to (3 D, ...)."""
    result = dict(tensors)
    for query in [name for name in tensors if '.attention.attention.query.' in name]:
        names = [query.replace('query', part) for part in _PARTS]
        if all(name in result for name in names):
            result[query.replace('query', 'qkv')] = torch.cat([result.pop(name) for name in names])
    return result


def _blocks(layer: str, part: str) -> tuple[tuple[str, str], ...]:
    block = rf'{part}.blocks.\1'
    return (
        (rf'{layer}\.(?:layernorm_before|norm1)\.(\w+)', rf'{block}.norm1.\2'),
        (rf'{layer}\.(?:layernorm_after|norm2)\.(\w+)', rf'{block}.norm2.\2'),
        (rf'{layer}\.attention\.attention\.qkv\.(\w+)', rf'{block}.attn.qkv.\2'),
        (rf'{layer}\.attention\.output\.dense\.(\w+)', rf'{block}.attn.proj.\2'),
        (rf'{layer}\.(?:intermediate\.dense|mlp\.fc1|mlp\.weights_in)\.(\w+)', rf'{block}.mlp.fc1.\2'),
        (rf'{layer}\.(?:output\.dense|mlp\.fc2|mlp\.weights_out)\.(\w+)', rf'{block}.mlp.fc2.\2'),
        (rf'{layer}\.layer_scale([12])\.lambda1', rf'{block}.ls\2.gamma'),
    )


SOURCE = Source(
    prepare=_joined,
    patterns=(
        (rf'{_MODEL}embeddings\.cls_token', 'backbone.cls_token'),
        (rf'{_MODEL}embeddings\.register_tokens', 'backbone.reg_token'),
        (rf'{_MODEL}embeddings\.position_embeddings', 'backbone.pos_embed'),
        (rf'{_MODEL}embeddings\.patch_embeddings\.projection\.(\w+)', r'backbone.patch_embed.proj.\1'),
        (rf'{_MODEL}layernorm\.(\w+)', r'backbone.norm.\1'),
        *_blocks(rf'{_MODEL}encoder\.layer\.(\d+)', 'backbone'),
        (r'decoder\.mask_token', 'neck.mask_token'),
        (r'decoder\.decoder_(pos_embed|embed\.\w+|norm\.\w+)', r'neck.\1'),
        (r'decoder\.decoder_pred\.(\w+)', r'neck.predict.\1'),
        *_blocks(r'decoder\.decoder_layers\.(\d+)', 'neck'),
        (rf'{_MODEL}(?:embeddings\.mask_token|pooler\..+)|classifier\..+', None),
        (rf'{_MODEL}embedder\.embedder\.convolution\.weight', 'backbone.conv1.weight'),
        (rf'{_MODEL}embedder\.embedder\.normalization\.(\w+)', r'backbone.bn1.\1'),
        *(
            (rf'{_MODEL}encoder\.stages\.{stage}\.layers\.(\d+)\.{theirs}', rf'backbone.layer{stage + 1}.\1.{ours}')
            for stage in range(4)
            for theirs, ours in (
                (r'shortcut\.convolution\.(\w+)', r'downsample.0.\2'),
                (r'shortcut\.normalization\.(\w+)', r'downsample.1.\2'),
                *((rf'layer\.{i}\.convolution\.(\w+)', rf'conv{i + 1}.\2') for i in range(3)),
                *((rf'layer\.{i}\.normalization\.(\w+)', rf'bn{i + 1}.\2') for i in range(3)),
            )
        ),
    ),
)

"""openai/CLIP and open_clip, and CLIP of Hugging Face: the image tower, a ViT with a norm before its first block.

The tower becomes a ``TimmBackbone`` such as ``vit_base_patch16_clip_quickgelu_224``, because no other backbone has this
norm; the text tower is left out.
"""

import torch

from mmssl.converters.source import Source, Tensors

_BLOCK = r'visual\.transformer\.resblocks\.(\d+)'
_HF_LAYER = r'vision_model\.encoder\.layers\.(\d+)'


def _as_tower(tensors: Tensors) -> Tensors:
    """Gives tokens their leading dimensions, and joins query, key and value of Hugging Face's files."""
    result = {}
    for name, tensor in tensors.items():
        if name.endswith('embeddings.position_embedding.weight') or name == 'visual.positional_embedding':
            tensor = tensor.unsqueeze(0)
        elif name.endswith('class_embedding'):
            tensor = tensor.reshape(1, 1, -1)
        result[name] = tensor
    return _joined(result)


def _joined(tensors: dict) -> Tensors:
    for query in [name for name in tensors if '.self_attn.q_proj.' in name]:
        names = [query.replace('q_proj', part) for part in ('q_proj', 'k_proj', 'v_proj')]
        if all(name in tensors for name in names):
            tensors[query.replace('q_proj', 'qkv')] = torch.cat([tensors.pop(name) for name in names])
    return tensors


SOURCE = Source(
    prepare=_as_tower,
    patterns=(
        (r'visual\.conv1\.weight', 'backbone.model.patch_embed.proj.weight'),
        (r'visual\.class_embedding', 'backbone.model.cls_token'),
        (r'visual\.positional_embedding', 'backbone.model.pos_embed'),
        (r'visual\.ln_pre\.(\w+)', r'backbone.model.norm_pre.\1'),
        (r'visual\.ln_post\.(\w+)', r'backbone.model.norm.\1'),
        (rf'{_BLOCK}\.ln_([12])\.(\w+)', r'backbone.model.blocks.\1.norm\2.\3'),
        (rf'{_BLOCK}\.attn\.in_proj_(\w+)', r'backbone.model.blocks.\1.attn.qkv.\2'),
        (rf'{_BLOCK}\.attn\.out_proj\.(\w+)', r'backbone.model.blocks.\1.attn.proj.\2'),
        (rf'{_BLOCK}\.mlp\.c_fc\.(\w+)', r'backbone.model.blocks.\1.mlp.fc1.\2'),
        (rf'{_BLOCK}\.mlp\.c_proj\.(\w+)', r'backbone.model.blocks.\1.mlp.fc2.\2'),
        (r'visual\.proj|(?:text\.)?(?:positional_embedding|text_projection|token_embedding\.weight)', None),
        (r'(?:text\.)?(?:transformer\.resblocks\..+|ln_final\.\w+|attn_mask)', None),
        (r'logit_(?:scale|bias)|input_resolution|context_length|vocab_size', None),
        (r'vision_model\.embeddings\.patch_embedding\.weight', 'backbone.model.patch_embed.proj.weight'),
        (r'vision_model\.embeddings\.class_embedding', 'backbone.model.cls_token'),
        (r'vision_model\.embeddings\.position_embedding\.weight', 'backbone.model.pos_embed'),
        (r'vision_model\.pre_layrnorm\.(\w+)', r'backbone.model.norm_pre.\1'),
        (r'vision_model\.post_layernorm\.(\w+)', r'backbone.model.norm.\1'),
        (rf'{_HF_LAYER}\.layer_norm([12])\.(\w+)', r'backbone.model.blocks.\1.norm\2.\3'),
        (rf'{_HF_LAYER}\.self_attn\.qkv\.(\w+)', r'backbone.model.blocks.\1.attn.qkv.\2'),
        (rf'{_HF_LAYER}\.self_attn\.out_proj\.(\w+)', r'backbone.model.blocks.\1.attn.proj.\2'),
        (rf'{_HF_LAYER}\.mlp\.fc([12])\.(\w+)', r'backbone.model.blocks.\1.mlp.fc\2.\3'),
        (r'(?:text_model|(?:visual|text)_projection)\..+|vision_model\.embeddings\.position_ids', None),
    ),
)

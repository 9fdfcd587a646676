"""openai/image-gpt: variables of TensorFlow, of the model of the next pixel and of that with masks; the colours."""

import torch
from torch import Tensor

from mmssl.converters.source import Source, Tensors

_NAME = r'(?:model/)?h(\d+)/'


def _prepare(tensors: Tensors) -> Tensors:
    """Joins the projections (heads, width, D) of a block to one matrix (3 D, D), and transposes the other matrices."""
    prepared: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        block, _, part = name.rpartition('/')
        if part == 'q_proj':
            weights = [tensors[f'{block}/{kind}_proj'].flatten(0, 1) for kind in 'qkv']
            prepared[f'{block}/qkv'] = torch.cat(weights)
        elif part == 'c_proj':  # (heads, width, D), back to tokens
            prepared[name] = tensor.flatten(0, 1).T.contiguous()
        elif part == 'w':  # (in, out)
            prepared[name] = tensor.T.contiguous()
        elif part not in ('k_proj', 'v_proj'):
            prepared[name] = tensor
    return prepared


SOURCE = Source(
    prepare=_prepare,
    patterns=(
        (r'(?:model/)?wte', 'backbone.color_embed.weight'),
        (r'(?:model/)?wpe', 'backbone.pos_embed'),
        (r'(?:model/)?sos', 'backbone.start_token'),
        (r'(?:model/)?wtet', 'neck.layer.weight'),
        (r'(?:model/)?ln_f/g', 'backbone.norm.weight'),
        (r'(?:model/)?clf/wclf', None),
        (r'clusters', 'backbone.colors.tokenizer.codes'),  # of another file, in [-1, 1]
        (_NAME + r'ln_([12])/g', r'backbone.blocks.\1.norm\2.weight'),
        (_NAME + r'attn/qkv', r'backbone.blocks.\1.attn.qkv.weight'),
        (_NAME + r'attn/[qkv]_proj', None),  # parts that ``_prepare`` joins
        (_NAME + r'attn/c_proj', r'backbone.blocks.\1.attn.proj.weight'),
        (_NAME + r'mlp/c_fc/w', r'backbone.blocks.\1.mlp.fc1.weight'),
        (_NAME + r'mlp/c_proj/w', r'backbone.blocks.\1.mlp.fc2.weight'),
    ),
    reshape={
        'backbone.pos_embed': lambda table: table.unsqueeze(0),
        'backbone.start_token': lambda vector: vector.view(1, 1, -1),
        'backbone.colors.tokenizer.codes': lambda colors: (colors + 1) / 2,
    },
)

"""baaivision/EVA, EVA-01: pre-trained models with the head for CLIP's features; only queries and values have a bias."""

import torch

from mmssl.converters.source import VIT, Source, Tensors

_BIAS = '.attn.q_bias'


def _prepare(tensors: Tensors) -> Tensors:
    """Joins the biases of queries and values, with 0 for keys: a bias of keys does not change attention."""
    blocks = [name.removesuffix(_BIAS) for name in tensors if name.endswith(_BIAS)]
    joined = {}
    for block in blocks:
        query, value = tensors[f'{block}.attn.q_bias'], tensors[f'{block}.attn.v_bias']
        joined[f'{block}.attn.qkv.bias'] = torch.cat([query, torch.zeros_like(query), value])
    return {name: tensor for name, tensor in tensors.items() if not name.endswith(('.q_bias', '.v_bias'))} | joined


SOURCE = Source(
    prepare=_prepare,
    patterns=(
        (r'(mask_token)', r'\1'),
        (r'lm_head\.(\w+)', r'neck.layer.\1'),
        (rf'({VIT})', r'backbone.\1'),
        (r'(?:fc_norm|head)\.\w+', None),
        (r'blocks\.\d+\.attn\.[qv]_bias', None),  # parts of the bias that ``_prepare`` joins
    ),
)

"""EVA against numbers recorded from its official implementation."""

from __future__ import annotations

import torch

from mmssl.config.load import load_config
from mmssl.registry import ALGORITHMS
from tests.parity.golden import CONFIGS, Golden, summary


def test_a_step(goldens_dir):
    golden = Golden(goldens_dir, 'eva_mim')
    images, features = golden.inputs().values()
    cfg = load_config(CONFIGS / 'eva/eva_vit-giant_128xb32-150e_in1k.py').model
    cfg.backbone.update(arch=dict(embed_dim=192, depth=4, num_heads=3), drop_path_rate=0.0)
    cfg.neck.update(in_channels=192, out_channels=128)
    cfg.target.update(checkpoint=None, options=dict(embed_dim=32, depth=1, num_heads=1))
    model = golden.load(ALGORITHMS.build(cfg), 'eva')
    mask = torch.zeros(2, 256, dtype=torch.bool)
    for row, hidden in zip(mask, golden.literals['masked_ids'], strict=True):
        row[hidden] = True
    model.masker.forward = lambda images: mask
    model.target.forward = lambda rendering: features
    _, prediction = model.reconstruct(images)
    loss = model.loss([images])['loss']
    loss.backward()
    for block in model.backbone.blocks:  # the official code has no bias of keys, which gets no gradient
        query, key, value = block.attn.qkv.bias.grad.chunk(3)
        assert key.abs().max() < 1e-12
    golden.check(
        {
            'outputs': {'pred': summary(prediction[mask])},
            'losses': {'total': loss.item()},
            'grads': gradients(golden, model),
        }
    )


def gradients(golden, model):
    """The gradients by their official names, the biases of queries and values apart."""
    found = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:  # of the teacher
            continue
        official = name.removeprefix('backbone.').replace('neck.layer.', 'lm_head.')
        if not name.endswith('attn.qkv.bias'):
            found[official] = summary(parameter.grad)
            continue
        query, _, value = parameter.grad.chunk(3)
        found |= {official.replace('qkv.bias', f'{kind}_bias'): summary(x) for kind, x in (('q', query), ('v', value))}
    return found

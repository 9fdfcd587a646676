"""iGPT against numbers recorded from its official implementation, whose graph of TensorFlow was run."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import cross_entropy

from mmssl.config.load import load_config
from mmssl.models.tokenizers.patch_codebook import nearest
from mmssl.registry import ALGORITHMS
from tests.parity.golden import CONFIGS, Golden, summary

CODES = 'backbone.colors.tokenizer.codes'  # no part of the official model


@pytest.mark.parametrize('kind', ['ar', 'bert'])
def test_a_step(goldens_dir, kind):
    golden = Golden(goldens_dir, f'igpt_{kind}')
    name = '' if kind == 'ar' else '-bert'
    cfg = load_config(CONFIGS / f'igpt/igpt_gpt-small{name}_8xb16-100e_in1k.py').model
    cfg.backbone.update(arch=dict(embed_dim=64, depth=3, num_heads=4), img_size=8, num_colors=32, feature_block=None)
    cfg.neck.update(in_channels=64, out_channels=32)
    model = golden.load(ALGORITHMS.build(cfg), 'igpt', kept=[CODES])
    words, labels = (torch.tensor(golden.literals[key]) for key in ('tokens', 'labels'))
    mask = torch.tensor(golden.literals['uniform']) <= 0.15 if kind == 'bert' else None
    past = {}
    tokens = model.backbone.encode(words, mask=mask, past=past)
    logits = model.neck(tokens)
    gen = model.head(logits, words, torch.ones_like(words, dtype=torch.bool) if mask is None else mask)
    classes = golden.state_dict()['clf/wclf'].requires_grad_()  # the official classifier, which is trained as well
    clf = cross_entropy(tokens.mean(dim=1) @ classes.T, labels)
    (gen + clf).backward()
    outputs = dict(
        gen_logits=logits,
        key0=past[model.backbone.blocks[0].attn][0],
        value_last=past[model.backbone.blocks[-1].attn][1],
    )
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in outputs.items()},
            'losses': dict(gen=gen.item(), clf=clf.item(), total=(gen + clf).item()),
            'grads': official_gradients(model) | {'clf/wclf': summary(classes.grad)},
        }
    )


def official_gradients(model):
    """The gradients by their official names, in the official layout."""
    backbone = model.backbone
    heads = backbone.blocks[0].attn.num_heads
    found = dict(
        wpe=backbone.pos_embed.grad[0], wte=backbone.color_embed.weight.grad, wtet=model.neck.layer.weight.grad
    )
    if backbone.start_token is not None:
        found['sos'] = backbone.start_token.grad.flatten()
    found['ln_f/g'] = backbone.norm.weight.grad
    for index, block in enumerate(backbone.blocks):
        parts = block.attn.qkv.weight.grad.chunk(3)
        found |= {f'h{index}/attn/{kind}_proj': part.unflatten(0, (heads, -1)) for kind, part in zip('qkv', parts)}
        found[f'h{index}/attn/c_proj'] = block.attn.proj.weight.grad.T.unflatten(0, (heads, -1))
        found |= {f'h{index}/ln_{n}/g': getattr(block, f'norm{n}').weight.grad for n in (1, 2)}
        found[f'h{index}/mlp/c_fc/w'] = block.mlp.fc1.weight.grad.T
        found[f'h{index}/mlp/c_proj/w'] = block.mlp.fc2.weight.grad.T
    return {name: summary(gradient.contiguous()) for name, gradient in found.items()}


def test_nearest_colours(goldens_dir):
    golden = Golden(goldens_dir, 'igpt_quantize')
    pixels, clusters = (golden.literals['scale'] * tensor for tensor in golden.inputs().values())
    assert nearest(pixels, clusters).tolist() == golden.record['expected']['ids']
    # Colours on the scale 0 to 1 instead of -1 to 1 have the same neighbours.
    assert nearest((pixels + 1) / 2, (clusters + 1) / 2).tolist() == golden.record['expected']['ids']

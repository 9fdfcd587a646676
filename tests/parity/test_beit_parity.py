"""BEiT against numbers recorded from its official implementation."""

from __future__ import annotations

import random

import torch

from mmssl.models.components.blockwise_masker import blockwise_mask
from tests.parity.golden import Golden, summary

RECIPE = 'beit/beit_vit-base_16xb128-800e_in1k.py'


def test_a_step(goldens_dir):
    golden = Golden(goldens_dir, 'beit_base_pretrain')
    tokenizer = dict(checkpoint=None, width=8)  # its words are replaced by the recorded ones
    (images,) = golden.inputs().values()
    overrides = {
        'model.backbone.drop_path_rate': 0.0,
        'model.backbone.img_size': images.shape[-1],
        'model.target.tokenizer': tokenizer,
    }
    model = golden.build(RECIPE, 'beit', overrides)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == golden.record['params']['total']
    masked_ids, labels = golden.literals['masked_ids'], torch.tensor(golden.literals['labels'])
    mask = torch.zeros(images.shape[0], (images.shape[-1] // 16) ** 2, dtype=torch.bool)
    model.masker.most_hidden = max(map(len, masked_ids))  # a recording may hide more than the recipe
    for row, ids in zip(mask, masked_ids, strict=True):
        row[ids] = True
    words = torch.zeros_like(mask, dtype=torch.int64)
    words[mask] = labels
    model.masker.forward = lambda images: mask
    model.target.forward = lambda images: words
    found = {}
    model.backbone.register_forward_hook(lambda module, args, tokens: found.update(tokens=tokens))
    model.neck.register_forward_hook(lambda module, args, logits: found.update(logits=logits))
    loss = model.loss([images])['loss']
    loss.backward()
    hidden = model.masker.hidden(mask)
    found['logits'] = found['logits'][mask.gather(1, hidden)]  # a row per hidden patch
    assert len(found['logits']) == mask.sum() == len(labels)
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in found.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, 'beit'),
        }
    )


def test_masks(goldens_dir):
    cases = Golden(goldens_dir, 'masking_beit').record['expected']
    assert cases
    for case in cases:
        grid = (case['grid'], case['grid'])
        generator = random.Random(case['seed'])
        for count, expected in zip(case['counts'], case['masked_ids'], strict=True):
            mask = blockwise_mask(generator, grid, case['num_masking_patches'], case['min_num_patches'])
            assert mask.bit_count() == count
            assert [patch for patch in range(case['grid'] ** 2) if mask >> patch & 1] == expected

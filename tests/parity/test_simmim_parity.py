"""SimMIM against numbers recorded from its official implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmssl.models.components.simmim_masker import SimMIMMasker, unit_mask
from tests.parity.golden import Golden, summary


@pytest.mark.parametrize(
    ('case', 'recipe', 'source'),
    [
        ('simmim_vit_base', 'simmim/simmim_vit-base_16xb128-800e_in1k.py', 'simmim'),
        ('simmim_swin_base', 'simmim/simmim_swin-base_16xb128-100e_in1k.py', 'simmim_swin'),
    ],
)
def test_a_step(goldens_dir, case, recipe, source):
    golden = Golden(goldens_dir, case)
    literals = golden.literals
    (images,) = golden.inputs().values()
    overrides = {'model.backbone.drop_path_rate': 0.0, 'model.backbone.img_size': images.shape[-1]}
    model = golden.build(recipe, source, overrides)
    assert sum(p.numel() for p in model.parameters()) == golden.record['params']['total']
    grid = (literals['block_grid'],) * 2
    hidden = torch.tensor(literals['masked_blocks'])
    order = torch.zeros(len(images), grid[0] ** 2, dtype=torch.int64)
    order[:, : hidden.shape[1]] = hidden
    model.masker.forward = lambda images: unit_mask(order, hidden.shape[1], grid, literals['expand'])
    found = {}
    model.backbone.register_forward_hook(lambda module, args, maps: found.update(encoder=maps[-1]))
    model.neck.register_forward_hook(lambda module, args, image: found.update(x_rec=image))
    loss = model.loss([images])['loss']
    loss.backward()
    golden.check(
        {
            'outputs': {name: summary(value) for name, value in found.items()},
            'losses': {'total': loss.item()},
            'grads': golden.gradients(model, source),
        }
    )


def test_masks(goldens_dir):
    cases = Golden(goldens_dir, 'masking_simmim').record['expected']
    assert cases
    for case in cases:
        masker = SimMIMMasker(case['mask_ratio'], case['mask_patch_size'], case['model_patch_size'])
        side = case['input_size'] // case['mask_patch_size']
        generator = np.random.RandomState(case['seed'])  # the official stream
        for blocks, expected in zip(case['masked_blocks'], case['mask'], strict=True):
            order = torch.from_numpy(generator.permutation(side**2))[None]
            mask = unit_mask(order, case['mask_count'], (side, side), masker.patches)
            assert mask.sum() == masker.num_hidden(mask.shape[1]) == expected['sum']
            assert sorted(order[0, : case['mask_count']].tolist()) == blocks
            assert summary(mask.view(case['shape'])).items() >= expected.items()
            drawn = masker(torch.zeros(2, 3, case['input_size'], case['input_size']))
            assert drawn.shape[1] == mask.shape[1] and (drawn.sum(dim=1) == mask.sum()).all()

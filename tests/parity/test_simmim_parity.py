"""SimMIM's masks against those of its official implementation."""

from __future__ import annotations

import numpy as np
import torch

from mmssl.models.maskers.simmim_masker import SimMIMMasker, unit_mask
from tests.parity.golden import Golden, summary


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

"""BEiT's masks against those of its official implementation."""

from __future__ import annotations

import random

from mmssl.models.maskers.blockwise_masker import blockwise_mask
from tests.parity.golden import Golden


def test_masks(goldens_dir):
    cases = Golden(goldens_dir, 'masking_beit').record['expected']
    assert cases
    for case in cases:
        grid = (case['grid'], case['grid'])
        generator = random.Random(case['seed'])
        for count, expected in zip(case['counts'], case['masked_ids'], strict=True):
            mask = blockwise_mask(generator, grid, case['num_masking_patches'], case['min_num_patches'])
            assert mask.sum() == count
            assert mask.ravel().nonzero()[0].tolist() == expected

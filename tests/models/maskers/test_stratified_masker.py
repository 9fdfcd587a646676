from __future__ import annotations

import random

import pytest
import torch

from mmssl.models.maskers.stratified_masker import StratifiedMasker


def test_half_of_a_batch_hides_shares_from_every_part_of_the_interval():
    random.seed(0)
    masker = StratifiedMasker(patch_size=14)
    counts = masker(torch.zeros(64, 3, 224, 224)).sum(dim=1).sort().values
    assert (counts > 0).sum() == 32 and counts.max() <= masker.num_hidden(256) == 128
    bounds = torch.linspace(0.1, 0.5, 33) * 256
    hidden = counts[32:]
    assert (hidden <= bounds[1:]).all()  # fewer where no block fits any more
    assert (hidden >= bounds[:-1] - 5).double().mean() > 0.9


def test_wrong_intervals_are_refused():
    with pytest.raises(ValueError, match=r'interval in \[0, 1\]'):
        StratifiedMasker(ratios=(0.5, 0.1))
    with pytest.raises(ValueError, match='probability'):
        StratifiedMasker(probability=1.5)
    with pytest.raises(ValueError, match=r'min_aspect, .* must lie in \(0, 1\], got 0'):
        StratifiedMasker(min_aspect=0)
    for options in (dict(min_block=0), dict(max_block=0), dict(max_block=4)):
        with pytest.raises(ValueError, match='min_block must be at least 1 patch and max_block'):
            StratifiedMasker(**options)

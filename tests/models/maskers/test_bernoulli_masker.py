"""Masks whose patches are drawn one by one."""

from __future__ import annotations

import pytest
import torch

from mmssl.models.maskers.bernoulli_masker import BernoulliMasker


def test_the_share_of_hidden_patches_is_the_probability_and_differs_between_images():
    torch.manual_seed(0)
    mask = BernoulliMasker(ratio=0.15, patch_size=2)(torch.zeros(64, 3, 32, 32))
    assert mask.shape == (64, 256) and abs(mask.float().mean() - 0.15) < 0.01
    assert len(set(mask.sum(dim=1).tolist())) > 5


def test_a_ratio_outside_0_to_1_is_refused():
    with pytest.raises(ValueError, match='must lie in'):
        BernoulliMasker(ratio=1.0)

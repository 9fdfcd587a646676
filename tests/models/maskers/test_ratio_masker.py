"""Shares of hidden patches that are drawn for every image."""

from __future__ import annotations

import random

import pytest
import torch

from mmssl.models.maskers.ratio_masker import RatioMasker

IMAGES = torch.zeros(1000, 3, 224, 224)


@pytest.mark.parametrize('shape', ['block', 'patch'])
def test_half_of_the_images_hide_nothing_and_the_others_a_tenth_to_a_half(shape):
    random.seed(0)
    masker = RatioMasker(shape=shape)
    counts = masker(IMAGES).sum(dim=1)
    assert 0.45 < (counts == 0).double().mean() < 0.55
    hidden = counts[counts > 0].double() / 196
    assert hidden.max() <= 0.5 and abs(hidden.mean() - 0.29) < 0.02
    assert masker.num_hidden(196) == 98


def test_pythons_random_alone_decides():
    masker = RatioMasker((0.4,), (0.1,), shape='patch', patch_size=8)
    masks = []
    for _ in range(2):
        random.seed(1)
        masks.append(masker(torch.zeros(4, 3, 32, 40)))
    assert masks[0].shape == (4, 20) and torch.equal(*masks)


def test_wrong_intervals_are_refused():
    with pytest.raises(ValueError, match='one number per interval'):
        RatioMasker((0.1, 0.2), (0.0,))
    with pytest.raises(ValueError, match=r'lie in \[0, 1\]'):
        RatioMasker((0.1,), (0.2,))
    with pytest.raises(ValueError, match=r'min_aspect, .* must lie in \(0, 1\], got 0'):
        RatioMasker(min_aspect=0)

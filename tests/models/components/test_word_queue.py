from __future__ import annotations

import pytest
import torch

from mmssl.models.components.word_queue import WordQueue
from mmssl.registry import ALGORITHMS


def test_bags_and_the_mean_distance_are_in_full_precision_under_autocast():
    torch.manual_seed(0)
    maps, queue = torch.rand(4, 64, 5, 5), WordQueue(8, 64)
    expected = queue(maps)
    with torch.autocast('cpu', torch.bfloat16):
        torch.manual_seed(0)
        found = queue(maps)
    assert torch.equal(found, expected)
    (_, mean), (_, same_mean) = queue._staged
    assert torch.equal(mean, same_mean)


@pytest.mark.parametrize(
    ('side', 'message'), [(2, 'border=1 leaves nothing of maps of 2 x 2'), (4, 'without their border have 2 x 2')]
)
def test_maps_that_are_too_small_are_named(side, message):
    with pytest.raises(ValueError, match=message):
        WordQueue(8, 3)(torch.rand(4, 3, side, side))


def test_levels_without_a_partner_are_refused():
    words = dict(type='WordQueue', num_words=8, channels=16)
    with pytest.raises(ValueError, match='need one entry per level, got 1, 2, 1'):
        ALGORITHMS.build(
            dict(
                type='OBoW',
                backbone=dict(type='ResNet', depth=18, stem='small', width=0.125, out_indices=(1,)),
                neck=dict(type='Identity'),
                head=dict(type='GeneratedWordsHead', in_channels=16, word_channels=[16]),
                teacher=dict(momentum=0.99),
                vocabularies=[words, words],
            )
        )

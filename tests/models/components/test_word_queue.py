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
    (_, distance), (_, same_distance) = queue._staged
    assert torch.equal(distance, same_distance)


def test_accumulated_batches_move_the_mean_distance_as_one_batch():
    torch.manual_seed(0)
    maps, whole = torch.rand(4, 6, 5, 5), WordQueue(8, 6)
    halves = WordQueue(8, 6)
    halves.load_state_dict(whole.state_dict())
    for queue, batches in ((whole, [maps]), (halves, maps.chunk(2))):
        for batch in batches:
            queue(batch)
        queue.commit()
    torch.testing.assert_close(halves.min_distance, whole.min_distance)


@pytest.mark.parametrize(
    ('side', 'message'), [(2, 'border=1 leaves nothing of maps of 2 x 2'), (4, 'without their border have 2 x 2')]
)
def test_maps_that_are_too_small_are_named(side, message):
    with pytest.raises(ValueError, match=message):
        WordQueue(8, 3)(torch.rand(4, 3, side, side))


def test_maps_of_other_channels_are_named():
    with pytest.raises(ValueError, match='maps have 5 channels: set channels=5, got 3'):
        WordQueue(8, 3)(torch.rand(4, 5, 6, 6))


@pytest.mark.parametrize('channels', [[16, 16], [32]])
def test_levels_that_differ_between_the_parts_are_refused(channels):
    with pytest.raises(ValueError, match=r'the 1 levels .* got vocabularies of \[.*\] and word_channels=\[16\]'):
        ALGORITHMS.build(
            dict(
                type='OBoW',
                backbone=dict(type='ResNet', depth=18, stem='small', width=0.125, out_indices=(1,)),
                neck=dict(type='Identity'),
                head=dict(type='GeneratedWordsHead', in_channels=16, word_channels=[16]),
                teacher=dict(momentum=0.99),
                vocabularies=[dict(type='WordQueue', num_words=8, channels=width) for width in channels],
            )
        )


@pytest.mark.parametrize(
    'options', [dict(inverse_temperature=0), dict(momentum=1.5), dict(border=-1), dict(pool='sum')]
)
def test_wrong_arguments_are_refused_when_a_queue_is_built(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        WordQueue(8, 4, **options)

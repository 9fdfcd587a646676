"""Words and bags of small maps, by hand."""

from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.models.layers.visual_words import bag_of_words, pool_codes, soft_codes, without_border, word_distances

MAP = torch.tensor([[[[0.1, 0.9], [1.2, 0.2]], [[0.1, 0.1], [-0.1, 1.8]]]])
WORDS = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]])


def test_nearest_words_and_their_shares():
    distances = word_distances(MAP, WORDS)
    assert_close(distances[0, :, 1, 1], torch.tensor([3.28, 3.88, 0.08]))
    words = distances.argmin(1)
    assert words.tolist() == [[[0, 1], [1, 2]]]
    assert_close(bag_of_words(words, 3), torch.tensor([[0.25, 0.5, 0.25]]))
    assert_close(bag_of_words(words, 3, binary=True), torch.full((1, 3), 1 / 3))


def test_bags_are_distributions_that_no_order_of_positions_changes():
    words = torch.randint(50, (4, 3, 3), generator=torch.Generator().manual_seed(0))
    shuffled = words.flatten(1)[:, torch.randperm(9)].view_as(words)
    for binary in (False, True):
        bags = bag_of_words(words, 50, binary)
        assert_close(bags.sum(1), torch.ones(4))
        assert torch.equal(bags, bag_of_words(shuffled, 50, binary))


def test_sharp_codes_are_hard_and_the_border_goes():
    codes = soft_codes(word_distances(MAP, WORDS), 1e4)
    assert_close(pool_codes(codes, 'avg'), torch.tensor([[0.25, 0.5, 0.25]]))
    assert_close(pool_codes(codes, 'max'), torch.full((1, 3), 1 / 3))
    assert without_border(torch.zeros(1, 1, 5, 6), 1).shape == (1, 1, 3, 4)
    with pytest.raises(ValueError, match="pool must be one of .*'sum'"):
        pool_codes(codes, 'sum')

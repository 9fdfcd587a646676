from __future__ import annotations

import torch

from mmssl.models.components.word_queue import WordQueue


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

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.components.feature_queue import FeatureQueue
from tests.support.distributed import run_distributed


def test_it_begins_with_unit_rows_and_has_no_parameters():
    queue = FeatureQueue(65536, 128)
    assert queue.features.shape == (65536, 128) and list(queue.parameters()) == []
    assert_close(queue.features.norm(dim=1), torch.ones(65536))
    assert set(queue.state_dict()) == {'features', 'pointer'}


def test_first_in_first_out():
    queue = FeatureQueue(12, 3)
    batches = torch.randn(4, 4, 3)
    before = queue.features.clone()
    queue.stage(batches[0])
    assert torch.equal(queue.features, before)
    queue.commit()
    assert_close(queue.features, torch.cat((normalize(batches[0], dim=1), before[4:])))
    assert queue.pointer == 4
    for batch in batches[1:3]:
        queue.stage(batch)
    queue.commit()
    assert_close(queue.features, normalize(batches[:3].flatten(0, 1), dim=1))
    assert queue.pointer == 0
    queue.stage(batches[3])
    queue.commit()
    queue.commit()
    assert_close(queue.features[:4], normalize(batches[3], dim=1))
    assert queue.pointer == 4


def test_a_queue_that_is_no_multiple_of_the_batch():
    with pytest.raises(ValueError, match='multiple of the global batch size 5, got 12; 10 is'):
        FeatureQueue(12, 3).stage(torch.randn(5, 3))
    with pytest.raises(ValueError, match='batch size 16, got 12; 16 is'):
        FeatureQueue(12, 3).stage(torch.randn(16, 3))


def _stage_a_share(features: Tensor) -> Tensor:
    queue = FeatureQueue(16, 4)
    queue.stage(features.chunk(world_size())[rank()])
    queue.commit()
    assert queue.pointer == 8
    return queue.features[:8]


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_queue_in_rank_order(processes):
    features = torch.randn(8, 4, dtype=torch.float64)
    for queued in run_distributed(_stage_a_share, processes, features):
        assert_close(queued, normalize(features, dim=1))

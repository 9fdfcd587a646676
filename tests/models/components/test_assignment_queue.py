from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.engine.agreement import wrong_batches
from mmssl.models.components import assignment_queue
from mmssl.models.components.assignment_queue import AssignmentQueue
from mmssl.models.components.word_queue import WordQueue
from tests.support.distributed import run_distributed


def test_newest_first_and_of_use_once_it_is_full():
    queue = AssignmentQueue(8, 3)
    batches = torch.randn(3, 2, 4, 3)
    for number, batch in enumerate(batches):
        rows, weights = queue.share()
        assert weights.tolist() == [float(number == 2)] * 8
        queue.stage(batch)
        assert torch.equal(queue.share()[0], rows)
        queue.commit(progress=0.5)
    assert torch.equal(queue.features, torch.cat([batches[2], batches[1]], dim=1))


def test_it_fills_from_its_start_on():
    queue = AssignmentQueue(4, 3, start=15 / 200)
    for step, expected in ((15 * 7, 0), (15 * 7 + 1, 4)):  # the last step of epoch 14, the first of epoch 15
        queue.stage(torch.randn(2, 4, 3))
        queue.commit(progress=step / (200 * 7))
        assert queue.count == expected


def test_wrong_lengths_and_starts():
    with pytest.raises(ValueError, match='multiple of the global batch size 3, got 8; 6 is'):
        AssignmentQueue(8, 3).stage(torch.randn(2, 3, 3))
    with pytest.raises(ValueError, match=r'start, a share of the run, must lie in \[0, 1\], got 15'):
        AssignmentQueue(8, 3, start=15)


def test_lengths_are_compared_with_the_global_batch_before_a_run(monkeypatch):
    model = nn.ModuleDict(dict(queue=AssignmentQueue(6, 3), words=WordQueue(2, 3), fits=WordQueue(8, 3)))
    assert list(wrong_batches(model, 4)) == [
        'model.queue: queue length 6 is not a multiple of the global batch size 4; 4 is one',
        'model.words: queue length 2 is not a multiple of the global batch size 4; 4 is one',
    ]
    monkeypatch.setattr(assignment_queue, 'world_size', lambda: 8)
    monkeypatch.setattr(assignment_queue, 'rank', lambda: 7)
    with pytest.raises(ValueError, match='8 processes cannot share a queue of length 6 equally'):
        model['queue'].share()


def test_processes_hold_the_same_queue_and_use_a_share_of_it_each():
    batch = torch.randn(2, 8, 3, dtype=torch.float64)
    results = run_distributed(_queue_of_a_share, 2, batch)
    for features, _ in results:
        assert_close(features, batch)
    assert_close(torch.cat([rows for _, rows in results], dim=1), batch)


def _queue_of_a_share(batch: Tensor) -> tuple[Tensor, Tensor]:
    queue = AssignmentQueue(8, 3)
    queue.stage(batch.chunk(world_size(), dim=1)[rank()])
    queue.commit(progress=1.0)
    return queue.features, queue.share()[0]


def test_a_new_run_does_not_use_the_embeddings_of_another_one():
    queue = AssignmentQueue(4, 3, start=0.5)
    queue.stage(torch.randn(2, 4, 3))
    queue.commit(progress=1.0)
    assert queue.share()[1].tolist() == [1] * 4
    queue.clear()
    assert queue.share()[1].tolist() == [0] * 4

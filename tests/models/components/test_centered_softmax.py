from __future__ import annotations

import pytest
import torch
from torch.testing import assert_close

from mmssl.distributed.collectives import rank
from mmssl.models.components.centered_softmax import CenteredSoftmax
from tests.support.distributed import run_distributed


def test_temperature_rises_linearly_and_stays():
    targets = CenteredSoftmax(4, temperature=0.07, start_temperature=0.04, warmup=0.1).double()
    found = []
    for progress in (0.0, 0.05, 0.1, 0.5, 1.0):
        targets.progress.fill_(progress)
        found.append(targets.temperature().item())
    assert found == pytest.approx([0.04, 0.055, 0.07, 0.07, 0.07], rel=1e-12)


@pytest.mark.parametrize('options', [dict(temperature=0.05), dict(temperature=0.05, start_temperature=0.01)])
def test_without_warmup_the_temperature_is_constant(options):
    targets = CenteredSoftmax(4, **options).double()
    for progress in (0.0, 0.5):
        targets.progress.fill_(progress)
        assert targets.temperature() == 0.05


def test_a_constant_offset_of_the_teacher_is_taken_out():
    targets = CenteredSoftmax(6, center_momentum=0.0)
    offset, logits = 3 * torch.randn(6), torch.randn(500, 6)
    logits -= logits.mean(dim=0)
    targets.stage(logits + offset)
    targets.update(0.1)
    assert_close(targets(logits + offset), torch.softmax(logits / 0.04, dim=1), rtol=1e-3, atol=1e-5)


def test_the_center_waits_for_the_step_and_averages_micro_batches():
    targets = CenteredSoftmax(3, center_momentum=0.9).double()
    first, second = torch.randn(2, 4, 3, dtype=torch.float64)
    targets.stage(first)
    targets.stage(second)
    assert not targets.center.any()
    targets.update(0.1)
    assert_close(targets.center, 0.1 * torch.cat([first, second]).mean(dim=0, keepdim=True))
    targets.stage(first)
    targets.update(0.2)  # what was staged for the step before does not count again
    expected = 0.09 * torch.cat([first, second]).mean(dim=0) + 0.1 * first.mean(dim=0)
    assert_close(targets.center[0], expected)


def test_rows_weigh_the_same_in_every_batch_and_no_row_moves_nothing():
    targets = CenteredSoftmax(3, center_momentum=0.5).double()
    rows = torch.randn(5, 3, dtype=torch.float64)
    for part in (rows[:4], rows[4:], rows[:0]):
        targets.stage(part)
    targets.update(0.1)
    assert_close(targets.center, 0.5 * rows.mean(dim=0, keepdim=True))
    before = targets.center.clone()
    targets.stage(rows[:0])
    targets.update(0.2)
    assert torch.equal(targets.center, before)


def test_half_precision_logits_move_a_full_precision_center():
    targets = CenteredSoftmax(3)
    logits = torch.randn(4, 3).bfloat16()
    targets.stage(logits)
    targets.update(0.1)
    assert targets.center.dtype == targets(logits).dtype == torch.float32
    assert_close(targets.center, 0.1 * logits.float().mean(dim=0, keepdim=True))


def test_the_center_is_that_of_all_processes():
    for center in run_distributed(_center, 2):
        assert_close(center, 0.1 * torch.arange(8.0, dtype=torch.float64).view(4, 2).mean(dim=0, keepdim=True))


def _center() -> torch.Tensor:
    targets = CenteredSoftmax(2)
    targets.stage(torch.arange(8.0).view(4, 2).chunk(2)[rank()])
    targets.update(0.1)
    return targets.center


@pytest.mark.parametrize('wrong', [dict(temperature=0.0), dict(warmup=10), dict(center_momentum=1.1)])
def test_rejects(wrong):
    with pytest.raises(ValueError, match='got'):
        CenteredSoftmax(4, **wrong)

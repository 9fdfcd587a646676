from __future__ import annotations

import signal
import time
from datetime import timedelta

import pytest
import torch
import torch.distributed as dist
from torch import Tensor

from mmssl.distributed.collectives import (
    gather,
    gather_constant,
    patient_barrier,
    rank,
    sum_over_processes,
    world_size,
)
from tests.support.distributed import exit_codes, run_distributed, start_process


def test_one_process_communicates_nothing():
    x = torch.randn(3, 2, requires_grad=True)
    assert (world_size(), rank()) == (1, 0)
    assert gather(x) is x and sum_over_processes(x) is x
    assert not gather_constant(x).requires_grad and torch.equal(gather_constant(x), x)


def _collectives() -> dict[str, Tensor]:
    me = dist.get_rank()
    assert (world_size(), rank()) == (dist.get_world_size(), me)
    x = torch.full((1, 2), float(me), requires_grad=True)
    y = x.detach().clone().requires_grad_()
    everything = gather(x)
    # process r weighs the row of process j by (r + 1) * (j + 1)
    weights = (me + 1) * torch.arange(1.0, len(everything) + 1)
    (everything * weights[:, None]).sum().backward()
    total = sum_over_processes(y)
    ((me + 1) * total).sum().backward()
    constant = gather_constant(x)
    return dict(
        everything=everything.detach(), grad=x.grad, total=total.detach(), total_grad=y.grad,
        constant=constant, tracked=torch.tensor(constant.requires_grad),
    )  # fmt: skip


@pytest.mark.parametrize('processes', [2, 4])
def test_collectives_sum_the_gradients_of_all_processes(processes):
    ranks = torch.arange(float(processes))
    for me, result in enumerate(run_distributed(_collectives, processes)):
        assert torch.equal(result['everything'], ranks[:, None].expand(-1, 2).double())
        assert torch.equal(result['constant'], result['everything']) and not result['tracked']
        weight = (ranks + 1).sum().double()
        assert torch.equal(result['grad'], (weight * (me + 1)).expand(1, 2))
        assert torch.equal(result['total'], ranks.sum().double().expand(1, 2))
        assert torch.equal(result['total_grad'], weight.expand(1, 2))


def _fail_on_the_last() -> None:
    if rank() == world_size() - 1:
        raise ValueError('a message of its own')
    dist.barrier()


def test_a_failing_process_is_reported_and_the_next_call_works():
    with pytest.raises(RuntimeError, match=r'(?s)process 1 of 2 failed:.*a message of its own'):
        run_distributed(_fail_on_the_last, 2)
    assert run_distributed(rank, 2) == [0, 1]


def test_a_process_that_hangs_is_given_up():
    with pytest.raises(TimeoutError, match=r'1\] of 2 did not return within 2'):
        run_distributed(_hang_on_the_last, 2, timeout=2.0)


def test_a_process_without_a_group_that_hangs_is_killed():
    ended, hanging = start_process(time.sleep, 0), start_process(time.sleep, 600)
    assert exit_codes(ended) == [0]
    assert exit_codes(ended, hanging, timeout=0.0) == [0, None] and hanging.exitcode == -signal.SIGKILL


def _hang_on_the_last() -> None:
    while rank() == 1:
        time.sleep(0.1)


def _wait_for_the_first() -> bool:
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=0.4), dist.group.WORLD)
    wait = patient_barrier()
    if rank() == 0:
        time.sleep(0.8)
    wait()
    return True


def test_a_patient_barrier_outlives_the_timeout_of_the_default_group():
    assert run_distributed(_wait_for_the_first, 2) == [True, True]
    patient_barrier()()  # one process

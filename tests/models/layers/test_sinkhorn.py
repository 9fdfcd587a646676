from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.layers.sinkhorn import sinkhorn
from tests.support.distributed import run_distributed


def cosines(samples: int = 64, prototypes: int = 30) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    z, c = (torch.randn(count, 16, generator=generator, dtype=torch.float64) for count in (samples, prototypes))
    return torch.nn.functional.normalize(z) @ torch.nn.functional.normalize(c).T


def test_two_samples_and_two_prototypes():
    codes = sinkhorn(torch.tensor([[0.5, -0.5], [0.4, -0.4]], dtype=torch.float64))
    high = torch.sigmoid(torch.tensor(2.0, dtype=torch.float64)).item()
    assert_close(codes.tolist(), [[high, 1 - high], [1 - high, high]])


def test_samples_sum_to_one_and_prototypes_approach_their_share():
    codes = sinkhorn(cosines())
    assert_close(codes.sum(dim=1), torch.ones(64, dtype=torch.float64))
    softmax = torch.softmax(cosines() / 0.05, dim=1)
    deviations = [(x.sum(dim=0) - 64 / 30).abs().max() for x in (codes, softmax)]
    assert deviations[0] < 1.2 < deviations[1]
    assert_close(sinkhorn(cosines(), iterations=200).sum(dim=0), torch.full((30,), 64 / 30, dtype=torch.float64))


def test_constants_of_prototypes_cancel_and_large_scores_do_not_overflow():
    scores = cosines()
    assert_close(sinkhorn(scores + torch.linspace(0, 3, 30, dtype=torch.float64)), sinkhorn(scores))
    assert sinkhorn(100 + scores.half()).isfinite().all()
    assert sinkhorn(scores.float(), epsilon=0.03).dtype == torch.float32


def test_a_sample_far_from_every_prototype_gets_a_code():
    scores = cosines()
    scores[0] -= 8  # exp(-8 / 0.05) is 0 in float32
    assert_close(sinkhorn(scores.float()).double(), sinkhorn(scores), rtol=1e-4, atol=1e-6)
    assert (sinkhorn(scores.float(), eps=1e-8)[0] == 0).all()


def test_problems_are_independent_and_samples_of_weight_zero_do_not_count():
    scores = torch.stack([cosines(), cosines().flip(0)])
    assert_close(sinkhorn(scores)[1], sinkhorn(scores[1]))
    weights = torch.cat([torch.ones(48), torch.zeros(16)])
    assert_close(sinkhorn(scores, weights=weights)[:, :48], sinkhorn(scores[:, :48]))


def test_a_sample_of_weight_zero_may_be_far_closer_to_a_prototype_than_the_others():
    scores = cosines().float().clamp(max=0.5)
    scores[:16] = 1.0
    weights = torch.cat([torch.zeros(16), torch.ones(48)])
    codes = sinkhorn(scores, 0.002, weights=weights)
    assert codes.isfinite().all()
    assert_close(codes[16:], sinkhorn(scores[16:], 0.002))
    assert_close(codes[:16].sum(dim=1), torch.ones(16))


def test_a_number_added_to_every_sum():
    scores = torch.sin(0.1 * torch.arange(1, 33, dtype=torch.float64)).view(4, 8)
    expected = [0.0565526574, 0.0708288613, 0.0879322613, 0.1078810746, 0.1304843231, 0.1553297005, 0.1818095196]
    codes = sinkhorn(scores, 0.5, eps=1e-8)
    assert_close(codes[0].tolist(), [*expected, 0.2091815973], rtol=0, atol=1e-10)  # of CAPI's code
    assert_close(codes, sinkhorn(scores, 0.5), rtol=0, atol=1e-8)


@pytest.mark.parametrize('processes', [2, 4])
def test_processes_assign_as_one_does(processes):
    codes = torch.cat(run_distributed(_codes_of_a_share, processes, cosines()))
    assert_close(codes, sinkhorn(cosines()), rtol=1e-12, atol=1e-12)


def _codes_of_a_share(scores: Tensor) -> Tensor:
    return sinkhorn(scores.chunk(world_size())[rank()])

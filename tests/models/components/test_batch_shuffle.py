from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.distributed.collectives import rank, world_size
from mmssl.models.components.batch_shuffle import BatchShuffle
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from tests.support.distributed import run_distributed

ORDER = torch.tensor([5, 2, 7, 0, 3, 6, 1, 4])
IMAGES = torch.arange(16.0, dtype=torch.float64).square().view(8, 2)


class _FixedOrder(BatchShuffle):
    def permutation(self, count: int, device: torch.device) -> Tensor:
        return ORDER


class _Seen(nn.Module):
    """Returns what it gets and keeps it."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.batches.append(x)
        return x


def _norm() -> nn.Module:
    return nn.BatchNorm1d(2, affine=False, dtype=torch.float64)


def _in_groups(size: int) -> Tensor:
    outputs = torch.cat([_norm()(group) for group in IMAGES[ORDER].split(size)])
    return torch.empty_like(outputs).index_copy_(0, ORDER, outputs)


def test_one_process_without_groups_encodes_the_batch_as_it_is():
    encoder = _Seen()
    assert torch.equal(BatchShuffle()(encoder, IMAGES), IMAGES)
    assert len(encoder.batches) == 1 and encoder.batches[0] is IMAGES


def test_one_process_makes_groups_of_a_permutation_and_restores_the_order():
    encoder = _Seen()
    assert torch.equal(_FixedOrder(4)(encoder, IMAGES), IMAGES)
    assert torch.equal(torch.cat(encoder.batches), IMAGES[ORDER]) and len(encoder.batches) == 2
    assert_close(_FixedOrder(4)(_norm(), IMAGES), _in_groups(4))


def test_the_permutation_is_one():
    assert torch.equal(BatchShuffle().permutation(32, torch.device('cpu')).sort().values, torch.arange(32))


def test_groups_that_do_not_fit():
    with pytest.raises(ValueError, match='norm_group_size=3 must divide the 8 images of a process'):
        BatchShuffle(3)(_norm(), IMAGES)


def _encode_a_share(group_size: int | None) -> tuple[Tensor, Tensor, Tensor]:
    share = IMAGES.chunk(world_size())[rank()]
    encoder = _Seen()
    assert torch.equal(_FixedOrder(group_size)(encoder, share), share)
    seen = torch.cat(encoder.batches)
    order = BatchShuffle().permutation(8, share.device)
    return seen, _FixedOrder(group_size)(_norm(), share), order


@pytest.mark.parametrize(('processes', 'group_size'), [(2, None), (4, None), (2, 2)])
def test_processes_encode_shares_of_one_permutation(processes, group_size):
    seen, outputs, orders = zip(*run_distributed(_encode_a_share, processes, group_size))
    assert torch.equal(torch.cat(seen), IMAGES[ORDER])
    assert_close(torch.cat(outputs), _in_groups(group_size or 8 // processes))
    assert all(torch.equal(order, orders[0]) for order in orders)


def _encode_synchronised() -> Tensor:
    share = IMAGES.chunk(world_size())[rank()]
    encoder = nn.Sequential(_Seen(), convert_sync_batchnorm(_norm()))
    output = BatchShuffle()(encoder, share)
    assert encoder[0].batches[0] is share
    return output


def test_synchronised_norms_need_no_shuffle():
    assert_close(torch.cat(run_distributed(_encode_synchronised, 2)), _norm()(IMAGES))


def test_groups_have_images():
    for size in (0, -2):
        with pytest.raises(ValueError, match=f'norm_group_size must be at least 1, .* got {size}'):
            BatchShuffle(size)

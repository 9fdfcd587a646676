"""The memory of one process among many: followed shapes against real memory, and what sharding saves."""

from __future__ import annotations

import random
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.registry import DefaultScope
from torch import nn

import mmssl
from mmssl.apis.recipes import get_recipe
from mmssl.profiling.allocator import peak_allocated
from mmssl.profiling.cluster import follow_step, read_cluster
from mmssl.profiling.live_bytes import LiveBytes
from mmssl.utils.errors import UserError

MAE = 'mae_vit-tiny_1xb512-400e_cifar10'
MIB = 2**20


def test_live_bytes_are_what_the_allocator_hands_out() -> None:
    model = nn.Sequential(nn.Linear(64, 256), nn.GELU(), nn.Linear(256, 64))
    images = torch.randn(512, 64)

    def step() -> None:
        model(images).square().mean().backward()

    model.zero_grad()
    expected = peak_allocated(step)
    model.zero_grad()
    with LiveBytes(*model.parameters(), images) as live:
        before = live.total
        step()
    assert live.peak - before == pytest.approx(expected, rel=0.05)
    assert live.total - before == sum(p.numel() * 4 for p in model.parameters())  # gradients are left


def follow(processes: int = 8, limit: float = 2**40, recipe: str = MAE, **options: Any) -> Any:
    cfg = get_recipe(recipe, {'train_dataloader.batch_size': 16, **options})
    with DefaultScope.overwrite_default_scope('mmssl'):
        return follow_step(cfg, processes, limit)


def test_sharding_divides_weights_gradients_and_state() -> None:
    replicated, sharded = follow().memory, follow(strategy='fsdp2').memory
    for name in ('weights', 'gradients', 'optimizer state'):
        assert replicated[name] / 8 <= sharded[name] < replicated[name] / 7
    assert sharded['peak'] < replicated['peak']
    assert replicated['optimizer state'] == pytest.approx(2 * replicated['gradients'], rel=0.01)
    assert not dist.is_initialized()


def test_recomputed_blocks_need_less_and_too_little_memory_is_a_problem() -> None:
    plain, report = follow(), follow(limit=10 * MIB, checkpoint_blocks=True)
    assert report.memory['peak'] < plain.memory['peak']
    assert 'do not fit into 0 GiB' in str(report) and 'checkpoint_blocks=True), 16 images' in str(report)
    assert plain.problems == [] and str(plain).endswith('fits into 1024 GiB')
    assert follow(**{'optim_wrapper.dtype': 'float16', 'strategy': 'fsdp2'}).problems == [
        "strategy='fsdp2' does not support float16: use --amp bf16"
    ]


def test_masks_of_random_size_give_the_same_memory_every_time() -> None:
    found = []
    for seed in (1, 2):
        random.seed(seed)
        found.append(follow(recipe='ijepa_vit-tiny_1xb512-200e_cifar10').memory)
    assert found[0] == found[1]


def test_what_does_not_train_has_no_gradient_and_no_state() -> None:
    whole, frozen = follow().memory, follow(trainable=dict(frozen_blocks=6)).memory
    low_rank = follow(trainable=dict(low_rank=4)).memory
    for name in ('gradients', 'optimizer state'):
        assert low_rank[name] < frozen[name] < whole[name]
    assert max(low_rank['peak'], frozen['peak']) < whole['peak']
    assert low_rank['weights'] > frozen['weights'] == whole['weights']


def test_train_takes_the_cluster() -> None:
    report = mmssl.train(MAE, cfg_options={'train_dataloader.batch_size': 8}, dry='4x80')
    assert (report.processes, report.limit) == (4, 80 * 2**30)
    with pytest.raises(UserError, match='does not support --auto-batch'):
        mmssl.train(MAE, auto_batch=True, dry='4x80')
    for text in ('80', '32x', '0x80', 'ax80', '4x-1'):
        with pytest.raises(UserError, match='takes PROCESSESxGIB, such as 32x80'):
            read_cluster(text)


@pytest.mark.parametrize(('method', 'row'), [('odc', 4 * 128 + 8), ('deepcluster', 0), ('sela', 0)])
def test_methods_that_learn_labels_get_stand_ins_and_the_rows_of_all_images(method: str, row: int) -> None:
    (recipe,) = mmssl.list_recipes(f'{method}_resnet18*', dataset='cifar10')
    plain, sharded = follow(recipe=recipe).memory, follow(recipe=recipe, strategy='fsdp2').memory
    assert plain['weights'] - plain['gradients'] == pytest.approx(50_000 * row, abs=MIB / 2)
    assert sharded['weights'] - sharded['gradients'] == pytest.approx(50_000 * row, abs=MIB / 2)

"""Exact gradient caching: the gradient of the whole batch, for every recipe, from a network that sees micro-batches."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.distributed.collectives import rank
from mmssl.engine.micro_batches import parts_in_micro_batches, use_micro_batches
from mmssl.profiling.saved_bytes import count_saved_bytes
from mmssl.registry import BACKBONES
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed
from tests.support.shrink import shrink
from tests.support.tiny_run import tiny_config, train
from tests.test_world_size import CONFIGS, _batch, _build, _total, each_recipe

MICRO = 3  # does not divide the batch of 8 images


@pytest.fixture(autouse=True)
def _in_double_precision() -> Any:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@each_recipe
def test_the_gradient_is_that_of_the_whole_batch_or_the_method_says_why_not(recipe: str) -> None:
    algorithm = _build(shrink(load_config(CONFIGS / recipe)))
    if algorithm.second_order or algorithm.unsplit:
        with pytest.raises(UserError, match='accumulative_counts'):
            use_micro_batches(algorithm, MICRO)
        return
    whole, cached = _step(recipe, None), _step(recipe, MICRO)
    assert_close(cached['loss'], whole['loss'], rtol=1e-10, atol=1e-12)
    assert cached['grads'].keys() == whole['grads'].keys()
    for kind in ('grads', 'after'):
        for name, value in whole[kind].items():
            atol = 1e-9 * max(value.double().abs().max().item(), 1e-3)
            assert_close(cached[kind][name], value, rtol=0, atol=atol, msg=lambda m, n=name: f'{n}: {m}')


def _step(recipe: str, micro_batch: int | None) -> dict[str, Any]:
    """Loss, gradient and state after a step, with backbones whose norms use their running statistics."""
    cfg = shrink(load_config(CONFIGS / recipe))
    if 'drop_path_rate' in cfg.model.backbone:
        cfg.model.backbone.drop_path_rate = 0.0  # micro-batches draw other paths
    algorithm = _build(cfg)
    if micro_batch is not None:
        use_micro_batches(algorithm, micro_batch)
    for name, module in algorithm.named_modules():
        if isinstance(module, _BatchNorm) and 'backbone' in name:
            module.eval()
    torch.manual_seed(2)
    random.seed(2)
    loss = _total(algorithm.loss(*_batch(cfg)))
    loss.backward()
    grads = {name: p.grad.clone() for name, p in algorithm.named_parameters() if p.grad is not None}
    algorithm.on_step_end(progress=0.25)
    return dict(loss=loss.detach(), grads=grads, after=dict(algorithm.state_dict()))


RESNET = dict(type='ResNet', depth=18, stem='small', width=0.125)
VIT = dict(type='VisionTransformer', arch=dict(embed_dim=16, depth=2, num_heads=2), img_size=16, patch_size=8)


class _Network(nn.Module):
    def __init__(self, backbone: dict) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.backbone = BACKBONES.build(backbone)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.backbone(images)
        return features if isinstance(features, torch.Tensor) else features[-1]


@pytest.mark.parametrize('backbone', [RESNET, dict(VIT, drop_path_rate=0.5)])
def test_norms_and_dropped_paths_are_those_of_the_micro_batches_and_count_once(backbone: dict) -> None:
    images = torch.randn(8, 3, 16, 16)
    apart, cached = _Network(backbone), _Network(backbone)
    use_micro_batches(cached, MICRO)
    torch.manual_seed(1)
    expected = torch.cat([apart(part) for part in images.split(MICRO)])
    torch.manual_seed(1)
    found = cached(images)
    assert torch.equal(found, expected)
    after_forward = torch.get_rng_state()
    for output in (expected, found):
        output.square().sum().backward()
    assert torch.equal(torch.get_rng_state(), after_forward)
    for (name, one), two in zip(apart.named_parameters(), cached.parameters()):
        assert_close(two.grad, one.grad, rtol=1e-9, atol=1e-12, msg=lambda m, n=name: f'{n}: {m}')
    assert all(torch.equal(one, two) for one, two in zip(apart.buffers(), cached.buffers()))


def test_what_is_kept_between_the_passes_is_the_output() -> None:
    images = torch.randn(8, 3, 16, 16)
    whole, cached = _Network(RESNET), _Network(RESNET)
    use_micro_batches(cached, 1)
    with count_saved_bytes(cached, images) as saved:
        outputs = cached(images)
    with count_saved_bytes(whole, images) as saved_by_whole:
        outputs = whole(images), outputs
    assert saved.total <= outputs[1].numel() * 8 < saved_by_whole.total / 20


def test_a_call_with_and_one_without_micro_batches_share_an_autocast() -> None:
    network = _Network(VIT)
    network.float()
    use_micro_batches(network, 2)
    with torch.autocast('cpu', torch.bfloat16):
        first, second = (network(torch.randn(n, 3, 16, 16, dtype=torch.float32)) for n in (4, 2))
    assert first.dtype == second.dtype
    weights = torch.randn(first.shape[-1], dtype=torch.float32)
    (second * weights).sum().backward()
    assert all(
        p.grad is not None and p.grad.any() for name, p in network.named_parameters() if name.endswith('fc2.weight')
    )


def test_only_necks_without_batch_norm_are_split() -> None:
    byol = _build(shrink(load_config(CONFIGS / 'byol/byol_resnet18_1xb512-200e_cifar10.py')))
    mae = _build(shrink(load_config(CONFIGS / 'mae/mae_vit-tiny_1xb512-400e_cifar10.py')))
    assert list(parts_in_micro_batches(byol)) == ['backbone', 'teacher.backbone']
    assert list(parts_in_micro_batches(mae)) == ['backbone', 'neck']


@pytest.mark.parametrize('size', [0, True, 'half'])
def test_a_size_is_a_positive_number(size: Any) -> None:
    with pytest.raises(UserError, match='micro_batch'):
        use_micro_batches(_Network(VIT), size)


def test_a_run_says_what_is_not_exact(tmp_path: Path) -> None:
    torch.set_default_dtype(torch.float32)
    runner = train(tiny_config(tmp_path, 'byol', micro_batch=3, max_epochs=1))
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'backbone, teacher.backbone has batch norms' in log
    assert 'statistics are those of 3 images' in log


def test_two_processes_with_ddp_have_the_gradient_of_one() -> None:
    alone, *_ = run_distributed(_ddp_gradient, 1, None)
    for gradients in run_distributed(_ddp_gradient, 2, 2):
        for one, two in zip(alone, gradients):
            assert_close(two, one, rtol=0, atol=1e-10)


def _ddp_gradient(micro_batch: int | None) -> list[torch.Tensor]:
    network = _Network(VIT)
    if micro_batch:
        use_micro_batches(network, micro_batch)
    ddp = nn.parallel.DistributedDataParallel(network)
    images = torch.randn(12, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    images = images.chunk(torch.distributed.get_world_size())[rank()]
    views = ddp(torch.cat([images, images.flip(-1)])).chunk(2)
    (views[0] * views[1]).mean().backward()
    return [p.grad for p in network.parameters()]

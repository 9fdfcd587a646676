"""What holds for every method, tested on every CIFAR-10 recipe: a new method is tested by having one."""

from __future__ import annotations

import random
from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch._utils import _flatten_dense_tensors, _unflatten_dense_tensors
from torch.testing import assert_close

from mmssl.config.load import load_config
from mmssl.distributed.collectives import rank, world_size
from mmssl.models.algorithms.base import BaseAlgorithm
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.registry import ALGORITHMS, MODELS
from tests.support.distributed import run_distributed
from tests.support.shrink import shrink
from tests.support.small_parts import half_masks, shared_crops

CONFIGS = Path(__file__).parents[1] / 'configs'
RECIPES = sorted(str(path.relative_to(CONFIGS)) for path in CONFIGS.glob('*/*_cifar10.py'))
GLOBAL_BATCH = 8

each_recipe = pytest.mark.parametrize('recipe', RECIPES)


@cache
def small(recipe: str) -> Config:
    """A small recipe, which nobody changes."""
    return shrink(load_config(CONFIGS / recipe))


@cache
def divisible(recipe: str) -> Config:
    """A small recipe without what each process does on its own, which nobody changes."""
    cfg = deepcopy(small(recipe))
    if 'norm_group_size' in cfg.model:
        cfg.model.norm_group_size = None  # groups with statistics of their own are the opposite of synchronised ones
    if 'drop_path_rate' in cfg.model.backbone:
        cfg.model.backbone.drop_path_rate = 0.0  # each process draws its own paths
    return cfg


def test_there_are_recipes():
    assert len({recipe.split('/')[0] for recipe in RECIPES}) >= 5


@each_recipe
def test_processes_share_a_batch_without_changing_the_step(recipe):
    """Two processes are compared in tests/engine/test_sharding.py, for methods that can be sharded."""
    (alone,) = run_distributed(_step_on_a_share, 1, recipe)
    for processes in (2, 4) if MODELS.get(small(recipe).model.type).second_order else (4,):
        for result in run_distributed(_step_on_a_share, processes, recipe):
            assert_close(result['loss'], alone['loss'], rtol=1e-9, atol=1e-12)
            assert result['grads'].keys() == alone['grads'].keys()
            for kind in ('grads', 'after'):
                for name, value in alone[kind].items():
                    atol = 1e-9 * max(alone[kind][name].double().abs().max().item(), 1e-3)
                    assert_close(result[kind][name], value, rtol=0, atol=atol, msg=lambda m, n=name: f'{n}: {m}')


def _step_on_a_share(recipe: str) -> dict:
    """Loss, gradient and state after one step of SGD, on this process's share of the batch."""
    cfg = divisible(recipe)
    algorithm = convert_sync_batchnorm(_build(cfg))
    if hasattr(algorithm, 'masker'):
        _draw_masks_of_the_whole_batch(algorithm.masker)
    optimizer = torch.optim.SGD([p for p in algorithm.parameters() if p.requires_grad], lr=0.1)
    views, data_samples = _batch(cfg)
    loss = _total(algorithm.loss([_share(x) for x in views], {key: _share(x) for key, x in data_samples.items()}))
    loss.backward()
    tensors = [loss.detach(), *(p.grad for p in algorithm.parameters() if p.grad is not None)]
    average = _flatten_dense_tensors(tensors)  # in one collective
    dist.all_reduce(average)
    for tensor, value in zip(tensors, _unflatten_dense_tensors(average / world_size(), tensors)):
        tensor.copy_(value)
    loss = tensors[0]
    grads = {name: p.grad.clone() for name, p in algorithm.named_parameters() if p.grad is not None}
    optimizer.step()
    algorithm.on_step_end(progress=0.25)
    return dict(loss=loss, grads=grads, after=_common_state(algorithm))


def _draw_masks_of_the_whole_batch(masker: nn.Module) -> None:
    """Makes every process draw the masks of all images and take its own."""
    name = 'masks' if hasattr(masker, 'masks') else 'forward'  # an array or a tensor
    draw = getattr(masker, name)

    def draw_share(images: Tensor, *step: int) -> Tensor | np.ndarray | tuple[Tensor, ...]:
        torch.manual_seed(5)
        random.seed(5)
        drawn = draw(images.repeat(world_size(), 1, 1, 1), *step)
        if isinstance(drawn, np.ndarray):
            return np.split(drawn, world_size())[rank()]
        return tuple(map(_share, drawn)) if isinstance(drawn, tuple) else _share(drawn)

    setattr(masker, name, draw_share)


def _common_state(algorithm: BaseAlgorithm) -> dict[str, Tensor]:
    """The state without the statistics of norms that are never synchronised: each process has its own."""
    local = tuple(f'{name}.' for name, module in algorithm.named_modules() if not getattr(module, 'sync', True))
    own = {name for name, _ in algorithm.named_buffers() if name.startswith(local)}
    return {name: tensor for name, tensor in algorithm.state_dict().items() if name not in own}


@each_recipe
def test_gradient_reaches_what_trains_and_nothing_else(recipe):
    cfg = small(recipe)
    algorithm = _build(cfg)
    _total(algorithm.loss(*_batch(cfg))).backward()
    with_gradient = {name for name, p in algorithm.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, p in algorithm.named_parameters() if p.requires_grad}
    assert {name.split('.')[0] for name in with_gradient} <= {
        'backbone',
        'neck',
        'head',
        'mask_token',
        'discriminator',
        'tile_neck',
    }


@each_recipe
def test_the_optimizer_moves_neither_teacher_nor_frozen_parameters(recipe):
    cfg = small(recipe)
    algorithm = _build(cfg)
    before = {name: p.detach().clone() for name, p in algorithm.named_parameters()}
    with DefaultScope.overwrite_default_scope('mmssl'):
        default = dict(type='MixedPrecisionOptimWrapper', dtype=None, constructor='GroupedOptimWrapperConstructor')
        optim_wrapper = build_optim_wrapper(algorithm, default | dict(cfg.optim_wrapper))
    for group in optim_wrapper.param_groups:
        group['lr'] = 0.1
    optim_wrapper.update_params(_total(algorithm.loss(*_batch(cfg))))
    after = dict(algorithm.named_parameters())
    moved = {name for name, p in after.items() if not torch.equal(p, before[name])}
    trained = {name for name, p in after.items() if p.requires_grad}
    assert moved <= trained and any(name.startswith('backbone.') for name in moved)
    assert {id(p) for p in optim_wrapper.optimizer.state} <= {id(after[name]) for name in trained}


@each_recipe
def test_the_loss_changes_no_state_but_norm_statistics(recipe):
    cfg = small(recipe)
    algorithm = _build(cfg)
    before = _copy(algorithm)
    algorithm.loss(*_batch(cfg))
    changed = {name for name, x in algorithm.state_dict().items() if not torch.equal(x, before[name])}
    assert {name.rsplit('.', 1)[1] for name in changed} <= {'running_mean', 'running_var', 'num_batches_tracked'}


@each_recipe
def test_a_step_never_waits_for_the_device(recipe):
    cfg = small(recipe)
    algorithm, batch = _build(cfg), _batch(cfg)
    if hasattr(algorithm, 'check_labels'):
        algorithm.check_labels.done = True  # the first labels of a run alone are looked at
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # tensors without values: reading one is an error
        for module in algorithm.modules():
            module._buffers.update({name: mode.from_tensor(x) for name, x in module.named_buffers(recurse=False)})
        _total(algorithm.loss(*batch)).backward()
        algorithm.on_step_end(progress=0.5)
    assert any(p.grad is not None for p in algorithm.parameters())  # the whole step was run


@each_recipe
def test_the_seed_decides_and_a_few_images_are_learnt(recipe):
    cfg = small(recipe)
    losses = _train(cfg, steps=16)
    assert torch.equal(losses[:3], _train(cfg, steps=16, stop=3))  # the second and third see what a step leaves behind
    assert _has_learnt(losses, 0.02)


def _has_learnt(losses: Tensor, margin: float) -> bool:
    return bool(losses[-3:].mean() < losses.max() - margin)  # from the peak: a queue is random at first


def _train(cfg: dict, steps: int, stop: int | None = None) -> Tensor:
    """The losses of some steps on the same images, fewer where the loss falls by much."""
    algorithm = _build(cfg)
    optimizer = torch.optim.AdamW([p for p in algorithm.parameters() if p.requires_grad], lr=3e-3)
    batch, losses = _batch(cfg), []
    for step in range(stop or steps):
        torch.manual_seed(step)
        random.seed(step)
        loss = _total(algorithm.loss(*batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        algorithm.on_step_end((step + 1) / steps)
        losses.append(loss.detach())
        if step > 5 and _has_learnt(torch.stack(losses), 0.1):
            break
    return torch.stack(losses)


def _build(cfg: dict) -> BaseAlgorithm:
    torch.manual_seed(0)
    algorithm = ALGORITHMS.build({**cfg.model, 'data_preprocessor': None})
    algorithm.init_weights()
    algorithm.on_train_start()
    if hasattr(algorithm, 'before_labels'):
        algorithm.before_labels(GLOBAL_BATCH)
    return algorithm.train()


def _batch(cfg: dict) -> tuple[list[Tensor], dict[str, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    views = cfg.train_dataloader.dataset.views
    images = [torch.randn(GLOBAL_BATCH, 3, view.size, view.size, generator=generator) for view in views]
    index = torch.arange(GLOBAL_BATCH)
    clusters = (index[:, None] + torch.arange(cfg.model.head.get('num_heads', 1))) % 5
    crops, masks = shared_crops(GLOBAL_BATCH), half_masks(GLOBAL_BATCH, views[0].size)
    return images, dict(index=index, label=index % 2, pseudo_label=clusters, crops=crops, masks=masks)


def _share(tensor: Tensor) -> Tensor:
    return tensor.chunk(world_size())[rank()]


def _total(losses: dict[str, Tensor]) -> Tensor:
    return sum(value for name, value in losses.items() if 'loss' in name)


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}

"""Sharded training is training: for every recipe, N processes that share all weights compute what one computes."""

from __future__ import annotations

import os
import random
import resource
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.registry import DefaultScope
from torch import Tensor, nn
from torch.testing import assert_close

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.strategy import read_strategy
from mmssl.distributed.collectives import rank, world_size
from mmssl.distributed.shards import local_shards, whole
from mmssl.engine.runner import PretrainRunner
from mmssl.engine.sharding import is_sharded, shard, whole_parameters, whole_state
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError
from tests.support.distributed import run_distributed
from tests.support.tiny_run import build_runner, tiny_config
from tests.test_world_size import (
    _batch,
    _build,
    _common_state,
    _draw_masks_of_the_whole_batch,
    _share,
    _total,
    divisible,
    each_recipe,
    small,
)

OPTIONS = read_strategy('fsdp2')
STEPS = 2
FOUR_PROCESSES = (
    'byol/byol_resnet18_1xb512-200e_cifar10.py',
    'mae/mae_vit-tiny_1xb512-400e_cifar10.py',
    'swav/swav_resnet18_1xb512-200e_cifar10.py',
)


@each_recipe
def test_two_processes_with_shards_are_one_without(recipe: str) -> None:
    if MODELS.get(small(recipe).model.type).second_order:
        return  # refused, see below
    _compare(recipe, 2)


@pytest.mark.parametrize('recipe', FOUR_PROCESSES)
def test_so_are_four(recipe: str) -> None:
    _compare(recipe, 4)


def _compare(recipe: str, processes: int) -> None:
    (alone,) = run_distributed(_train_some_steps, 1, recipe, False)
    for result in run_distributed(_train_some_steps, processes, recipe, True):
        assert_close(result['losses'], alone['losses'], rtol=1e-9, atol=1e-12)
        assert result['state'].keys() == alone['state'].keys()
        for name, value in alone['state'].items():
            atol = 1e-9 * max(value.double().abs().max().item(), 1e-3)
            assert_close(result['state'][name], value, rtol=0, atol=atol, msg=lambda m, n=name: f'{n}: {m}')
        assert result['elements'] < 0.6 * alone['elements'] * 2 / processes + 4000  # small tensors do not divide


def _train_some_steps(recipe: str, sharded: bool) -> dict[str, Any]:
    """Losses, state, and elements on this process, after steps with the recipe's optimizer, clipping and teacher."""
    cfg = divisible(recipe)
    optimizer = dict(cfg.optim_wrapper.optimizer)
    if 'Adam' in optimizer['type']:
        optimizer['eps'] = 1e-3  # a gradient of 0 up to rounding would become a step of full length
    algorithm = convert_sync_batchnorm(_build(cfg)).double()
    if hasattr(algorithm, 'masker'):
        _draw_masks_of_the_whole_batch(algorithm.masker)
    with DefaultScope.overwrite_default_scope('mmssl'):
        default = dict(type='MixedPrecisionOptimWrapper', dtype=None, constructor='GroupedOptimWrapperConstructor')
        optim_wrapper = build_optim_wrapper(algorithm, default | dict(cfg.optim_wrapper, optimizer=optimizer))
    if sharded:
        shard(algorithm, optim_wrapper, OPTIONS)
    views, data_samples = _batch(cfg)
    losses = torch.zeros(STEPS)
    for step in range(STEPS):
        torch.manual_seed(step)
        random.seed(step)
        samples = {key: _share(x) for key, x in data_samples.items()}
        loss = _total(algorithm([_share(x) for x in views], samples, mode='loss'))
        losses[step] = loss.detach() / world_size()
        optim_wrapper.update_params(loss)
        algorithm.on_step_end(progress=(step + 1) / 4)
    dist.all_reduce(losses)
    held = [*algorithm.parameters(), *(x for state in optim_wrapper.optimizer.state.values() for x in state.values())]
    elements = sum(x.numel() for x in local_shards(held) if isinstance(x, Tensor))
    state = {name: whole(tensor).clone() for name, tensor in _common_state(algorithm).items()}
    return dict(losses=losses, state=state, elements=elements)


# Runs


@pytest.fixture(scope='module')
def replicated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Tensor]:
    """Final state of two processes with DistributedDataParallel."""
    return run_distributed(_train, 2, str(tmp_path_factory.mktemp('ddp')), 'ddp')[0]


@pytest.fixture(scope='module', params=['full', 'sharded'])
def sharded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    """Folder and final state of two processes with shards, for both kinds of checkpoints."""
    folder = tmp_path_factory.mktemp(request.param)
    return folder, run_distributed(_train, 2, str(folder), dict(type='fsdp2', checkpoint=request.param))[0]


class _InDouble(Hook):
    """Makes a run compute in float64."""

    priority = 'VERY_HIGH'

    def before_run(self, runner: PretrainRunner) -> None:
        def to_double(module: Any, args: Any, batch: dict) -> dict:
            return {**batch, 'inputs': [x.double() for x in batch['inputs']]}

        runner.algorithm.data_preprocessor.register_forward_hook(to_double)


def _train(work_dir: str, strategy: Any, **changes: Any) -> dict[str, Tensor]:
    os.environ['LOCAL_RANK'] = str(rank())
    runner = build_runner(_config(work_dir, launcher='pytorch', strategy=strategy, **changes))
    runner.register_hook(_InDouble())
    runner.train()
    assert is_sharded(runner.algorithm) == (strategy != 'ddp')
    runner.save_checkpoint(work_dir, 'left.pth', whole=True, save_optimizer=False)
    runner.save_backbone(f'{work_dir}/left_alone.pth')
    return whole_state(runner.algorithm.state_dict(), keep=True)


def _config(work_dir: str | Path, **changes: Any) -> dict:
    changes['optim_wrapper'] = dict(
        optimizer=dict(type='LARS', lr=0.5, weight_decay=1e-4), type='MixedPrecisionOptimWrapper', dtype=None,
        clip_grad=dict(max_norm=0.5),
    )  # fmt: skip
    changes['default_hooks'] = dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=4))
    cfg = tiny_config(work_dir, 'byol', **{'sync_bn': True, 'max_epochs': 2, **changes})
    cfg['train_dataloader'].update(batch_size=8 // world_size())
    cfg['train_dataloader']['dataset'].update(num_images=48)
    return cfg


def _assert_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        atol = 1e-8 * max(value.double().abs().max().item(), 1e-3)
        assert_close(other[name].to(value.dtype), value, rtol=0, atol=atol, msg=lambda m, n=name: f'{n}: {m}')


def test_a_run_ends_as_with_ddp(sharded: tuple[Path, dict], replicated: dict[str, Tensor]) -> None:
    _assert_equal(replicated, sharded[1])


def test_a_checkpoint_holds_whole_weights_and_the_backbone_file_is_as_ever(sharded: tuple[Path, dict]) -> None:
    folder, state = sharded
    checkpoint = load_checkpoint_file(folder / 'iter_12.pth')
    _assert_equal(state, checkpoint['state_dict'])
    momenta = [entry['momentum_buffer'] for entry in checkpoint['optimizer']['state'].values()]
    assert len(momenta) == sum(len(group['params']) for group in checkpoint['optimizer']['param_groups'])
    backbone = load_checkpoint_file(folder / 'iter_12_backbone.pth')
    assert backbone['meta']['algorithm'] == 'BYOL'
    _assert_equal(
        {k.removeprefix('backbone.'): x for k, x in state.items() if k.startswith('backbone.')}, backbone['state_dict']
    )
    _assert_equal(backbone['state_dict'], load_checkpoint_file(folder / 'left_alone.pth')['state_dict'])
    assert (folder / 'left.pth').is_file()  # what a stage leaves, which is a file for every kind of checkpoint
    _assert_equal(state, load_checkpoint_file(folder / 'left.pth')['state_dict'])
    assert not list(folder.glob('*.tmp'))


def test_shards_hold_the_running_statistics_of_the_first_process(tmp_path: Path) -> None:
    first, second = run_distributed(_statistics, 2, str(tmp_path))
    saved = load_checkpoint_file(tmp_path / 'iter_12.pth')['state_dict']
    assert all(torch.equal(saved[name], value) for name, value in first.items())
    assert any(not torch.equal(saved[name], value) for name, value in second.items())


def _statistics(work_dir: str) -> dict[str, Tensor]:
    state = _train(work_dir, dict(type='fsdp2', checkpoint='sharded'), sync_bn=False)
    return {name: value for name, value in state.items() if 'running' in name}


def test_a_process_that_cannot_write_its_shards_ends_all_in_a_sentence(tmp_path: Path) -> None:
    for message in run_distributed(_full_disk, 2, str(tmp_path)):
        assert 'iter_4.pth cannot be written: File too large.' in message and '--resume' in message
    assert not list(tmp_path.glob('*.pth*'))


def _full_disk(work_dir: str) -> str:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    if rank() == 1:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UserError) as error:
            _train(work_dir, dict(type='fsdp2', checkpoint='sharded'))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    return str(error.value)


@pytest.mark.parametrize('processes', [1, 4])
def test_another_number_of_processes_goes_on(
    sharded: tuple[Path, dict], replicated: dict[str, Tensor], tmp_path: Path, processes: int
) -> None:
    changes = dict(resume=True, load_from=str(sharded[0] / 'iter_8.pth'))
    for state in run_distributed(_resume, processes, str(tmp_path), changes):
        _assert_equal(replicated, state)


def _resume(work_dir: str, changes: dict) -> dict[str, Tensor]:
    return _train(work_dir, 'fsdp2', **changes)


def test_shards_begin_with_trained_weights(tmp_path: Path) -> None:
    backbone = build_runner(_config(tmp_path)).algorithm.backbone
    weights = {name: tensor.double() + 1 for name, tensor in backbone.state_dict().items()}
    torch.save(dict(state_dict=weights), tmp_path / 'weights.pth')
    for state in run_distributed(_start, 2, str(tmp_path), str(tmp_path / 'weights.pth')):
        for name, _ in backbone.named_parameters():
            for owner in ('backbone', 'teacher.backbone'):
                assert torch.equal(state[f'{owner}.{name}'], weights[name]), f'{owner}.{name}'


def _start(work_dir: str, checkpoint: str) -> dict[str, Tensor]:
    os.environ['LOCAL_RANK'] = str(rank())
    hooks = [dict(type='TransferHook', checkpoint=checkpoint)]
    runner = build_runner(_config(work_dir, launcher='pytorch', strategy='fsdp2', custom_hooks=hooks))
    runner.train_loop.run = lambda: runner.call_hook('before_train')
    runner.train()
    assert is_sharded(runner.algorithm)
    return whole_state(runner.algorithm.state_dict(), keep=True)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        (dict(micro_batch=2), 'micro_batch: use checkpoint_blocks'),
        (dict(custom_hooks=[dict(type='EMAHook')]), 'EMAHook'),
    ],
)
def test_what_cannot_be_sharded_is_refused(tmp_path: Path, changes: dict, reason: str) -> None:
    for message in run_distributed(_refusal, 2, str(tmp_path), changes):
        assert reason in message


def _refusal(work_dir: str, changes: dict) -> str:
    with pytest.raises(UserError) as error:
        _train(work_dir, 'fsdp2', **changes)
    return str(error.value)


def test_a_reset_of_random_weights_is_that_of_one_process() -> None:
    (alone,) = run_distributed(_reset, 1)
    for result in run_distributed(_reset, 2):
        assert_close(result, alone, rtol=0, atol=1e-12)


def _reset() -> Tensor:
    """Embeddings after weights were drawn anew, between a forward pass without gradient and a training step."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    if world_size() > 1:
        shard(model, OptimWrapper(optimizer), OPTIONS)
    images = torch.randn(4, 3)
    with torch.no_grad():
        model(images)
    torch.manual_seed(1)
    with whole_parameters(model, model[1]):
        model[1].reset_parameters()
    model(images).square().sum().backward()
    optimizer.step()
    return model(images).detach()


def test_a_scalar_is_refused_and_options_are_checked() -> None:
    model = nn.Module()
    model.scale = nn.Parameter(torch.tensor(1.0))
    with pytest.raises(UserError, match='scalar scale'):
        shard(model, OptimWrapper(torch.optim.SGD(model.parameters(), lr=1)), OPTIONS)
    for value, message in (
        ('fsdp', "'ddp', 'fsdp2'"),
        (dict(type='ddp', checkpoint='sharded'), "'ddp', 'fsdp2'"),
        (dict(type='fsdp2', param_type='bfloat16'), 'did you mean'),
        (dict(type='fsdp2', checkpoint='both'), "'full' or 'sharded'"),
    ):
        with pytest.raises(UserError, match=message):
            read_strategy(value)

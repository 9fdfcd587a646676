"""The memory of one process among many, without computing anything and without these processes."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from torch import Tensor
from torch._subclasses.fake_tensor import (
    DataDependentOutputException,
    FakeTensorMode,
    UnsupportedFakeTensorException,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.utils._pytree import tree_map_only

from mmssl.config.strategy import read_strategy
from mmssl.distributed.collectives import world_size
from mmssl.distributed.shards import local_shards
from mmssl.engine.compilation import checkpoint_blocks
from mmssl.engine.loops import seed_iteration
from mmssl.engine.micro_batches import use_micro_batches
from mmssl.engine.sharding import shard
from mmssl.models.algorithms.labelled import LabelledAlgorithm, with_placeholder_labels
from mmssl.models.layers.low_rank import restrict_training
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm
from mmssl.profiling.live_bytes import LiveBytes
from mmssl.profiling.machine import sum_of_losses
from mmssl.profiling.recipe_step import read_batch_and_length
from mmssl.profiling.step_cost import optim_wrapper_at_rest
from mmssl.registry import ALGORITHMS
from mmssl.utils.errors import UserError


@dataclass
class ClusterReport:
    """The memory of each process of a run; ``str(report)`` is the text that a tool prints.

    Args:
        processes: Number of processes.
        memory: Use -> bytes on one device; ``peak`` is the largest sum of a step.
        limit: Bytes of a device.
        batch_size: Images per process and step.
        setting: Description of strategy and settings.
        problems: Reasons why the run would not start.
    """

    processes: int
    memory: dict[str, int]
    limit: float
    batch_size: int
    setting: str
    problems: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f'one of {self.processes} processes ({self.setting}), {self.batch_size} images of the {self._batch()}']
        lines += [f'  {name:<34}{size / 2**30:>9.2f} GiB' for name, size in self.memory.items()]
        lines += ['note: shapes were followed for one step, nothing was computed; allocator and libraries take more']
        lines += [f'PROBLEM: {problem}' for problem in self.problems]
        fits = f'fits into {self.limit / 2**30:.0f} GiB'
        return '\n'.join([*lines, 'the run would not start' if self.problems else fits])

    def _batch(self) -> str:
        return f'global batch of {self.processes * self.batch_size}'


def read_cluster(text: str) -> tuple[int, float]:
    """Returns the number of processes and the bytes of each device for a text such as ``'32x80'``, in GiB.

    Raises:
        UserError: The text has another form.
    """
    processes, _, gib = text.partition('x')
    try:
        number, limit = int(processes), float(gib) * 2**30
    except ValueError:
        number = limit = 0
    if number < 1 or limit <= 0:
        raise UserError(f'a dry run for a cluster takes PROCESSESxGIB, such as 32x80, got {text!r}')
    return number, limit


def follow_step(cfg: Config, processes: int, limit: float) -> ClusterReport:
    """Follows the shapes of a training step on one of ``processes`` processes, with fake tensors on the CPU.

    It takes ``strategy``, ``checkpoint_blocks``, ``micro_batch``, ``sync_bn``, ``trainable`` and the batch of the
    config. The batch is one of noise if the data is missing. Collectives return at once and leave the shapes that they
    would. The random draws, such as masks, are those of the first iteration of a run.

    Args:
        cfg: Config of a pre-training that has passed ``check_config``.
        processes: Number of processes.
        limit: Bytes of a device.

    Raises:
        UserError: This process belongs to a group, or the algorithm computes shapes from values.
    """
    if world_size() > 1:
        raise UserError('a dry run for a cluster is made by one process: omit --launcher')
    if cfg.get('default_scope') in ('mmdet', 'mmseg'):
        raise UserError('a dry run for a cluster takes algorithms of mmssl, not detectors and segmenters')
    cfg = copy.deepcopy(cfg)
    strategy, problems = read_strategy(cfg.get('strategy')), []
    if strategy and cfg.optim_wrapper.get('dtype') == 'float16':
        problems.append("strategy='fsdp2' does not support float16: use --amp bf16")
    batch_size = cfg.train_dataloader.batch_size
    cfg.train_dataloader.batch_size = 2
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    batch, num_images = read_batch_and_length(cfg)
    with group_of(processes):
        seed_iteration((cfg.get('randomness') or {}).get('seed') or 0, 0, 0)  # sizes of masks decide on the memory
        try:
            memory = _follow(cfg, batch, batch_size, strategy, num_images or 0)
        except (UnsupportedFakeTensorException, DataDependentOutputException) as error:
            raise UserError(f'{cfg.model.type} computes with values, so shapes alone do not tell: {error}') from error
    if memory['peak'] > limit:
        problems.append(
            f'{memory["peak"] / 2**30:.1f} GiB do not fit into {limit / 2**30:.0f} GiB: more processes, '
            "strategy='fsdp2', checkpoint_blocks=True or a smaller train_dataloader.batch_size need less"
        )
    setting = ', '.join(
        ['fsdp2' if strategy else 'ddp', str(cfg.optim_wrapper.get('dtype') or 'float32')]
        + [f'{key}={cfg[key]}' for key in ('checkpoint_blocks', 'micro_batch') if cfg.get(key)]
    )
    return ClusterReport(processes, memory, limit, batch_size, setting, problems)


@contextmanager
def group_of(processes: int) -> Iterator[None]:
    """Makes this process the first of a group whose other members do not exist."""
    import torch.distributed._tools.fake_collectives  # noqa: F401 - the shapes of collectives
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group('fake', store=FakeStore(), rank=0, world_size=processes)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _follow(cfg: Config, batch: dict, batch_size: int, strategy: dict | None, num_images: int) -> dict[str, int]:
    with torch.device('meta'):
        model = ALGORITHMS.build(dict(cfg.model, data_preprocessor=None)).train()
        restrict_training(model, **(cfg.get('trainable') or {}))
    if cfg.get('sync_bn'):
        model = convert_sync_batchnorm(model)
    if cfg.get('checkpoint_blocks'):
        checkpoint_blocks(model)
    if cfg.get('micro_batch') is not None:
        use_micro_batches(model, cfg.micro_batch)
    if strategy:  # the optimizer is built below, when the shards have a device
        mesh = init_device_mesh('cpu', (world_size(),))
        shard(model, OptimWrapper(torch.optim.SGD(model.parameters(), lr=0.0)), strategy, mesh)
    with FakeTensorMode(allow_non_fake_inputs=True):
        model = model.to_empty(device='cpu')
        if isinstance(model, LabelledAlgorithm):
            model.before_labels(num_images)  # some keep a row for each image of the training set
        return _measure(cfg, model, batch, batch_size)


def _measure(cfg: Config, model: Any, batch: dict, batch_size: int) -> dict[str, int]:
    wrapper = optim_wrapper_at_rest(model, cfg, torch.device('cpu'))

    def enlarged(tensor: Tensor) -> Tensor:
        dtype = torch.float32 if tensor.dtype == torch.uint8 else tensor.dtype
        return torch.empty((batch_size, *tensor.shape[1:]), dtype=dtype)

    data = tree_map_only(Tensor, enlarged, dict(inputs=batch['inputs'], data_samples=batch['data_samples']))
    data['data_samples'] = with_placeholder_labels(model, data['data_samples'], batch_size)
    peaks = []
    with LiveBytes(*model.parameters(), *model.buffers(), *data['inputs']) as live:
        wrapper.optimizer.register_step_pre_hook(lambda *_: peaks.append(live.peak))
        with wrapper.optim_context(model):
            loss = sum_of_losses(model(**data, mode='loss'))
        wrapper.update_params(loss)
        model.on_step_end(0.01)
    states = [x for state in wrapper.optimizer.state.values() for x in state.values() if isinstance(x, Tensor)]
    memory = {
        'weights': _bytes([*model.parameters(), *model.buffers()]),
        'gradients': _bytes([p for p in model.parameters() if p.requires_grad]),
        'optimizer state': _bytes(states),
    }
    # The optimizer makes its state at the end of the first step; in all others it is there from the start.
    peak = max(peaks[0] + memory['optimizer state'], live.peak)
    return {**memory, 'activations and gathered weights': max(peak - sum(memory.values()), 0), 'peak': peak}


def _bytes(tensors: list[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in local_shards(tensors))

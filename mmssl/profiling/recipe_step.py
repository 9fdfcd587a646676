"""The step of a recipe in several variants: memory format, compiled blocks, optimizer; with its augmentation."""

from __future__ import annotations

import copy
import statistics
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from mmssl.datasets.collate_views import collate_views
from mmssl.engine.compilation import compile_blocks, find_blocks
from mmssl.engine.memory_format import choose_memory_format, set_memory_format
from mmssl.models.algorithms.labelled import with_placeholder_labels
from mmssl.profiling.machine import device_name, peak_memory, reset_peak_memory, sum_of_losses
from mmssl.profiling.stand_ins import replace_missing_data, replace_missing_weights
from mmssl.profiling.step_cost import optim_wrapper_at_rest
from mmssl.profiling.timing import Task, Tasks, time_in_turns
from mmssl.registry import ALGORITHMS, DATASETS


class OperatorCount(TorchDispatchMode):
    """Counts the operators that torch dispatches, ``number``; on a GPU most of them launch a kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.number = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        self.number += 1
        return func(*args, **(kwargs or {}))


def measure_recipe(
    cfg: Config, batch_size: int | None = None, repeats: int = 5, dtype: str | None = None, compiled: bool = False
) -> dict[str, Any]:
    """Measures augmentation and step of a recipe, in turns: as it runs by default, and with single settings changed.

    Images are noise if the data is missing. The variants are ``contiguous`` and ``channels_last``, the memory formats
    of a convolutional network; ``not_fused``, the optimizer without fused kernels; ``joint`` and ``apart``, the other
    value of ``joint_views`` where a method takes it; and ``compiled``, with compiled blocks.

    Args:
        cfg: Config of a pre-training.
        batch_size: Number of images; None uses the config's.
        repeats: Number of measurements; all figures are medians.
        dtype: ``'bfloat16'``, or None for float32.
        compiled: Whether to measure compiled blocks, which takes minutes.

    Returns:
        ``seconds`` of ``augmentation``, the same without its Triton kernel if there is one
        (``torch_augmentation``), ``step`` and each variant; ``ratios`` of each variant to ``step``, medians of
        the ratios within a round; on a CPU both are processor time. ``augmentation_share`` of augmentation and step;
        ``operators`` of both; ``peak_memory`` in bytes; ``batch_size``, ``dtype``, ``memory_format``, ``device``.
    """
    device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    clock = 0 if device.type == 'cuda' else 1
    cfg = copy.deepcopy(cfg)
    cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=dtype)
    batch = read_batch(cfg, batch_size)
    step = RecipeStep(cfg, batch, device)
    tasks: Tasks = {'augmentation': Task(None, step.augment), 'step': Task(None, step.run)}
    if getattr(step.algorithm.data_preprocessor, 'uses_kernel', False):
        tasks['torch_augmentation'] = Task(None, partial(step.augment, False))
    tasks |= {name: Task(None, other.run) for name, other in _variants(step, compiled).items()}
    operators = {name: _count(tasks[name]) for name in ('augmentation', 'step')}
    reset_peak_memory(device)
    laps = [{name: lap[name][clock] for name in tasks} for lap in time_in_turns(tasks, repeats, device)]
    seconds = {name: statistics.median(lap[name] for lap in laps) for name in tasks}
    return dict(
        seconds=seconds,
        ratios={
            name: statistics.median(lap[name] / lap['step'] for lap in laps)
            for name in tasks
            if name not in ('augmentation', 'torch_augmentation', 'step')
        },
        augmentation_share=seconds['augmentation'] / (seconds['augmentation'] + seconds['step']),
        operators=operators,
        peak_memory=peak_memory(device),
        batch_size=len(batch['inputs'][0]),
        dtype=dtype or 'float32',
        memory_format=str(step.memory_format).removeprefix('torch.'),
        device=device_name(device),
    )


def read_batch(cfg: Config, batch_size: int | None = None) -> dict[str, Any]:
    """Returns a training batch of ``batch_size`` images, by default the config's; of noise if the data is missing."""
    return read_batch_and_length(cfg, batch_size)[0]


def read_batch_and_length(cfg: Config, batch_size: int | None = None) -> tuple[dict[str, Any], int | None]:
    """Returns the batch of ``read_batch``, and the number of training images, None if it is not known."""
    with tempfile.TemporaryDirectory() as folder:
        length = replace_missing_data(cfg, Path(folder))[2]
        replace_missing_weights(cfg)
        dataset = DATASETS.build(cfg.train_dataloader.dataset)
        count = batch_size or cfg.train_dataloader.batch_size
        return collate_views([dataset[0, index % len(dataset)] for index in range(count)]), length


def _variants(step: RecipeStep, compiled: bool) -> dict[str, RecipeStep]:
    variants = {}
    if step.memory_format is torch.channels_last:
        variants['contiguous'] = step.changed(memory_format='contiguous')
    if any(group.get('fused') for group in step.wrapper.param_groups):
        variants['not_fused'] = step.changed(fused=False)
    if step.algorithm.joint_views is not None:
        joint = step.algorithm.joint_views is not True
        variants['joint' if joint else 'apart'] = step.changed(joint_views=joint)
    if compiled and find_blocks(step.algorithm):
        variants['compiled'] = step.changed()
        compile_blocks(variants['compiled'].algorithm)
    return variants


def _count(task: Task) -> int:
    task.run()
    with OperatorCount() as operators:
        task.run()
    return operators.number


class RecipeStep:
    """Augmentation and optimizer step of a recipe on one batch; the learning rate is 0.

    Args:
        cfg: Config of a pre-training.
        batch: Batch from ``collate_views``.
        device: Device of the model.
    """

    def __init__(self, cfg: Config, batch: dict[str, Any], device: torch.device) -> None:
        self.cfg, self.device = cfg, device
        torch.manual_seed(0)
        self.algorithm = ALGORITHMS.build(cfg.model).to(device).train()
        self.memory_format = choose_memory_format(cfg.get('memory_format'), self.algorithm)
        set_memory_format(self.algorithm, self.memory_format)
        self.wrapper = optim_wrapper_at_rest(self.algorithm, cfg, device)
        if hasattr(self.algorithm, 'on_train_start'):
            self.algorithm.on_train_start()
        self.take(batch)

    def take(self, batch: dict[str, Any]) -> None:
        """Augments a batch from ``collate_views``, on which ``run`` then trains."""
        self.batch = batch
        self.data = self.augment()
        samples = self.data['data_samples']
        self.data['data_samples'] = with_placeholder_labels(self.algorithm, samples, len(batch['inputs'][0]))

    def changed(self, fused: bool | None = None, **changes: Any) -> RecipeStep:
        """Returns the step of a copy of the config with other settings."""
        cfg = copy.deepcopy(self.cfg)
        if fused is not None:
            cfg.optim_wrapper.optimizer.fused = fused
        if 'joint_views' in changes:
            cfg.model.joint_views = changes.pop('joint_views')
        cfg.update(changes)
        return RecipeStep(cfg, self.batch, self.device)

    def augment(self, fused: bool = True) -> dict[str, Any]:
        """Runs the data preprocessor, with the Triton kernel where it is used, or without."""
        preprocessor: Any = self.algorithm.data_preprocessor
        preprocessor.fused = fused
        return preprocessor(self.batch, True)

    def run(self, wrapped: nn.Module | None = None) -> None:
        """Runs forward pass, backward pass, optimizer, and what follows it; ``wrapped`` is the algorithm in DDP."""
        model = wrapped or self.algorithm
        with self.wrapper.optim_context(model):
            terms = model(**self.data, mode='loss')
        self.wrapper.update_params(sum_of_losses(terms))
        if hasattr(self.algorithm, 'on_step_end'):
            self.algorithm.on_step_end(0.5)

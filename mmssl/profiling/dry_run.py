"""A dry run: builds everything that a config names, runs and measures one iteration, and leaves no file."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from torch import Tensor, nn

from mmssl.config.classes import datasets
from mmssl.distributed.collectives import world_size
from mmssl.distributed.unwrap import unwrap
from mmssl.engine.agreement import wrong_batches
from mmssl.engine.hooks.pseudo_labels import PseudoLabelsHook
from mmssl.engine.loops import too_few_images
from mmssl.models.algorithms.labelled import LabelledAlgorithm
from mmssl.profiling.cost_report import Report
from mmssl.profiling.machine import device_name, peak_memory, reset_peak_memory, synchronize
from mmssl.profiling.saved_bytes import SavedBytes, count_saved_bytes
from mmssl.profiling.stand_ins import replace_missing_data, replace_missing_weights
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError, user_message

# Images of 224 px per view in the measured iteration on a CPU: takes seconds and fits in memory.
_CPU_IMAGES = 8
_CPU_SIZE = 224
_CPU_ANNOTATED = 2  # number of images for a detector or segmenter on a CPU, where images are large


def dry_run(cfg: Config) -> Report:
    """Builds everything that ``cfg`` names, runs a warm-up iteration and a measured one, and reports the cost.

    The real run is stopped after its second iteration; its work directory is temporary. Datasets that cannot be built
    are problems in the report, and synthetic images replace them and pass through the same views. On a CPU the batch is
    reduced so that an iteration takes seconds, on a GPU so that it fits, and the figures are scaled to the full batch.

    Args:
        cfg: Config that has passed ``check_config``.

    Raises:
        ValueError: A part of the config has a mistake that is only found when it is built or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        cfg = copy.deepcopy(cfg)
        cfg.update(work_dir=folder, log_level='ERROR')
        cfg.visualizer = dict(type='mmssl.RunVisualizer')  # update() would keep the backends of the config
        ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('out_dir', None)
        problems, notes, num_images = replace_missing_data(cfg, Path(folder) / 'images')
        problems += replace_missing_weights(cfg)
        if cfg.optim_wrapper.get('dtype') == 'float16' and not torch.cuda.is_available():
            cfg.optim_wrapper.dtype = 'bfloat16'
            problems.append('float16 needs a GPU; measured in bfloat16, which --amp bf16 would train in')
        full = cfg.train_dataloader.batch_size
        batch_size = full if torch.cuda.is_available() else min(full, _cpu_batch_size(cfg))
        images = batch_size if num_images is None else max(num_images // world_size(), 1)
        if images < batch_size:  # a problem in the report; a power of two divides into groups and queues
            batch_size = 2 ** int(np.log2(images))
        while True:
            cfg.experiment_name = f'{Path(folder).name}_{batch_size}'  # MMEngine would reuse a logger of the same name
            try:
                probe = Probe()
                runner = run_two_iterations(cfg, batch_size, probe)
                break
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
                problems = [p for p in problems if not p.startswith('batch size')]
                batch_size //= 2
                problems.append(f'batch size {full} does not fit in memory; {batch_size} does')
            except ValueError as error:
                batch_size = larger_batch(batch_size, full, error)
        report = _report(cfg, runner, probe, problems, num_images, full, batch_size)
        report.notes += notes
        return report


def larger_batch(batch_size: int, full: int, error: ValueError) -> int:
    """Returns a larger batch after an error of a reduced one, which a group of norms or of KoLeo may not divide.

    Args:
        batch_size: Images of the batch with which the error was raised.
        full: Images of the whole batch.
        error: The error, which is raised again if it has another cause.
    """
    if batch_size >= full or isinstance(error, UserError) or user_message(error) is None:
        raise error
    return min(2 * batch_size, full)


class _Stop(Exception):
    """Ends the run after the measured iteration."""


class Probe(Hook):
    """Stops a run after its second iteration, or the only one.

    Counts the bytes kept for the backward pass in the first iteration, and times the last.
    """

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.saved = SavedBytes()
        self._recording = ExitStack()
        self.seconds: dict[str, float] = {}
        self._iterations = 0
        self._mark = 0.0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.seconds['data'] = self._lap()
        if self._iterations == 0:
            self.saved = self._recording.enter_context(count_saved_bytes(runner.model))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        self.seconds['model'] = self._lap()
        if self._iterations == 0:
            self._recording.close()
        if self._iterations > 0 or runner.max_iters == 1:
            raise _Stop
        self._iterations += 1
        self._lap()

    def _lap(self) -> float:
        """Returns the seconds since the last call."""
        synchronize(device())
        now = time.perf_counter()
        lap, self._mark = now - self._mark, now
        return lap


def device() -> torch.device:
    """Returns the device that a run uses: the GPU if there is one."""
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def run_two_iterations(cfg: Config, batch_size: int, probe: Probe) -> Runner:
    """Runs two iterations of a config with another batch size, and returns the runner.

    Args:
        cfg: Config whose work directory is temporary.
        batch_size: Images per process.
        probe: Hook that measures, and ends the run.

    Raises:
        UserError: The run ends before its second iteration.
    """
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.pop('prefetch_factor', None)
    runner = RUNNERS.build(cfg)
    for hook in _labelling_hooks(runner):
        hook.only_estimate = True
    runner.register_hook(probe)
    reset_peak_memory(device())
    try:
        runner.train()
    except _Stop:
        return runner
    raise UserError(f'the run ended after {runner.iter} of {runner.max_iters} iterations, before it could be measured')


def _report(
    cfg: Config,
    runner: Runner,
    probe: Probe,
    problems: list[str],
    num_images: int | None,
    batch_size: int,
    measured_batch_size: int,
) -> Report:
    model = unwrap(runner.model)
    scale = batch_size / measured_batch_size
    memory = bytes_in_use(model, runner.optim_wrapper.optimizer, probe.saved.total * scale)
    notes = list(runner.unchecked_parts)
    name = 'CPU'
    if torch.cuda.is_available():
        name = device_name(device())
        memory['peak'] = peak_memory(device()) * scale
    missing_rows = (num_images or 0) - len(runner.train_dataloader.dataset)  # synthetic images are few
    if missing_rows > 0 and (row := _bytes_of_a_row(model)):
        memory |= {use: memory[use] + missing_rows * row for use in ('weights', 'sum', 'peak') if use in memory}
    if scale > 1:
        notes.append(f'measured with {measured_batch_size} images per process, scaled to {batch_size}')
    problems += wrong_batches(model, batch_size)
    if num_images is not None:
        problems += [problem for hook in _labelling_hooks(runner) for problem in hook.problems(num_images)]
    loader = runner.train_dataloader
    if loader.drop_last and loader.batch_size is not None and len(loader.sampler) < batch_size:
        problems.append(too_few_images(loader, batch_size))
    workers = max(min(cfg.train_dataloader.get('num_workers', 0), (os.cpu_count() or 1) // world_size()), 1)
    seconds = {'data loading': probe.seconds['data'] * scale / workers, 'training step': probe.seconds['model'] * scale}
    if any(str(dataset.get('data_root')).startswith(cfg.work_dir) for dataset in datasets(cfg, ['train'])):
        notes.append('measured on synthetic images, because data is missing')
    if left_out := _left_out_of_times(runner):
        notes.append(f'the times of an epoch and of the run leave out {left_out}')
    notes.append(f'data loading: assumes {workers} workers, at most one per core, that share the work perfectly')
    epoch_images = None if num_images is None else round(num_images * _share_of_epoch(loader))
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size', batch_size * world_size())
    return Report(
        parameters=_count_parameters(model),
        memory=memory,
        seconds=seconds,
        batch_size=batch_size,
        measured_batch_size=measured_batch_size,
        processes=world_size(),
        recipe_processes=max(base // batch_size, 1),
        num_images=epoch_images,
        max_epochs=_epochs(runner, epoch_images, batch_size * world_size()),
        device=name,
        labelling={
            name: size
            for hook in _labelling_hooks(runner)
            for name, size in hook.estimate(num_images or len(runner.train_dataloader.dataset), model).items()
        },
        problems=problems,
        notes=notes,
    )


def _share_of_epoch(loader: Any) -> float:
    """Returns images of an epoch / images of the training set, which ``reassign`` of ``ClusterSampler`` changes."""
    return getattr(loader.sampler, 'dataset_size', len(loader.dataset)) / len(loader.dataset)


def _left_out_of_times(runner: Runner) -> str:
    """Returns what a run does beside its iterations, as text; empty if it does nothing else."""
    parts = ['labellings'] if _labelling_hooks(runner) else []
    return ' and '.join([*parts, 'evaluations'] if runner.val_loop is not None else parts)


def _epochs(runner: Runner, num_images: int | None, global_batch: int) -> float:
    """Returns the number of epochs of the run, also if it counts iterations."""
    loop = runner.train_loop
    counts_iterations = isinstance(loop, IterBasedTrainLoop) or getattr(loop, 'counts_iterations', False)
    if not counts_iterations or num_images is None:
        return runner.max_epochs
    return round(runner.max_iters * global_batch / num_images, 1)


def _labelling_hooks(runner: Runner) -> list[PseudoLabelsHook]:
    return [hook for hook in runner.hooks if isinstance(hook, PseudoLabelsHook)]


def _count_parameters(model: nn.Module) -> dict[str, tuple[int, int]]:
    parts = {name: list(part.parameters()) for name, part in model.named_children()}
    parts |= {name: [parameter] for name, parameter in model.named_parameters(recurse=False)}  # such as a mask token
    counts = {
        name: (sum(p.numel() for p in parameters), sum(p.numel() for p in parameters if p.requires_grad))
        for name, parameters in parts.items()
    }
    return {name: count for name, count in counts.items() if count[0]}


def bytes_in_use(model: nn.Module, optimizer: torch.optim.Optimizer, activations: float) -> dict[str, float]:
    """Returns use -> bytes on one device, and their sum, for a model, its optimizer and the given activations."""

    def size(tensors: Any) -> int:
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)

    state = [v for values in optimizer.state.values() for v in values.values() if isinstance(v, Tensor)]
    parts = {
        'weights': size([*model.parameters(), *model.buffers()]),
        'gradients': size(p for p in model.parameters() if p.requires_grad),
        'optimizer state': size(state),
        'activations': activations,
    }
    return {**parts, 'sum': sum(parts.values())}


def _bytes_of_a_row(algorithm: Any) -> int:
    """Returns the bytes that an algorithm keeps for each image of the training set; its rows are lost."""
    if not isinstance(algorithm, LabelledAlgorithm):
        return 0
    sizes = []
    for number in (1, 2):
        algorithm.before_labels(number)
        sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in algorithm.buffers()))
    return sizes[1] - sizes[0]


def _cpu_batch_size(cfg: Config) -> int:
    """Returns the number of images that cost as much as ``_CPU_IMAGES`` of 224 px, but at least ``_CPU_IMAGES``."""
    if cfg.get('default_scope') in ('mmdet', 'mmseg'):
        return _CPU_ANNOTATED
    size = max((view.get('size', _CPU_SIZE) for view in cfg.train_dataloader.dataset.get('views', [])), default=224)
    return max(2 ** int(np.log2(_CPU_IMAGES * (_CPU_SIZE / size) ** 2)), _CPU_IMAGES)

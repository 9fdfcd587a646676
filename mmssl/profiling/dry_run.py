"""What a config would cost: everything is built and one iteration is run and measured, and no file stays."""

from __future__ import annotations

import copy
import os
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from PIL import Image
from torch import Tensor, nn

from mmssl.config.classes import datasets, heads_with_classes
from mmssl.config.paths import missing_target_weights
from mmssl.datasets.checks import check_annotations
from mmssl.distributed.collectives import world_size
from mmssl.distributed.unwrap import unwrap
from mmssl.engine.agreement import wrong_queues
from mmssl.engine.hooks.pseudo_labels import PseudoLabelsHook, describe_estimate
from mmssl.engine.loops import too_few_images
from mmssl.profiling.annotated_noise import write_noise
from mmssl.profiling.saved_bytes import SavedBytes, count_saved_bytes
from mmssl.registry import DATASETS, RUNNERS
from mmssl.utils.errors import UserError, user_message

# On a CPU, images of 224 px per view in the measured iteration: what takes seconds and fits in memory.
_CPU_IMAGES = 8
_CPU_SIZE = 224
# Images of a training set by the data part of a recipe's name, for when the data is not here.
_PUBLISHED_SIZES = {
    'in1k': 1_281_167, 'in1k-1p': 12_811, 'in1k-10p': 128_116, 'cifar10': 50_000, 'coco': 118_287, 'voc0712': 16_551,
    'voc12aug': 10_582, 'ade20k': 20_210, 'ade20k-512x512': 20_210, 'ade20k-640x640': 20_210,
}  # fmt: skip
_CPU_ANNOTATED = 2  # images of a detector or segmenter on a CPU, which are large
_SYNTHETIC_SIDE = 256


@dataclass
class Report:
    """What ``dry_run`` found; as a string, a text for people.

    Args:
        parameters: Per part of the algorithm, the number of parameters and of those that train.
        memory: Bytes on one device, per use.
        seconds: Per use of an iteration at the full batch.
        batch_size: Images per process and step.
        measured_batch_size: Images in the measured iteration.
        processes: Number of processes.
        recipe_processes: Number of processes that ``auto_scale_lr.base_batch_size`` means.
        num_images: Images of an epoch, None when unknown.
        max_epochs: Epochs of the run.
        device: Name of the device.
        labelling: Bytes on the main process while it labels the training set, per use.
        problems: Why the run would not start as it is.
        notes: What the figures rest on.
    """

    parameters: dict[str, tuple[int, int]]
    memory: dict[str, float]
    seconds: dict[str, float]
    batch_size: int
    measured_batch_size: int
    processes: int
    recipe_processes: int
    num_images: int | None
    max_epochs: float
    device: str
    labelling: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def seconds_per_iteration(self) -> float:
        """Workers load while the device computes, so the slower of the two counts."""
        return max(self.seconds.values())

    def seconds_per_epoch(self, processes: int) -> float:
        """Time of an epoch shared perfectly by ``processes`` devices like this one."""
        assert self.num_images is not None
        return self.seconds_per_iteration * max(self.num_images // (self.batch_size * processes), 1)

    def __str__(self) -> str:
        total, trainable = (sum(column) for column in zip(*self.parameters.values()))
        lines = ['parameters        total    trainable']
        for name, numbers in [*self.parameters.items(), ('all', (total, trainable))]:
            lines.append(f'  {name:<12}' + ''.join(f'{number:>13,}' for number in numbers))
        lines.append(f'memory on one device ({self.device}), batch size {self.batch_size}')
        lines += [f'  {name:<16}{size / 2**30:>9.2f} GiB' for name, size in self.memory.items()]
        lines += describe_estimate(self.labelling) if self.labelling else []
        lines.append(f'time of an iteration of {self.batch_size} images per process')
        lines += [f'  {name:<16}{seconds:>9.3f} s' for name, seconds in self.seconds.items()]
        lines += [f'  {line}' for line in self._run_times()]
        lines += [f'note: {note}' for note in self.notes]
        lines += [f'PROBLEM: {problem}' for problem in self.problems]
        lines.append('the run would not start as it is' if self.problems else 'ready to train')
        return '\n'.join(lines)

    def _run_times(self) -> Iterator[str]:
        if self.num_images is None:
            yield f'per 1000 images: {1000 * self.seconds_per_iteration / self.batch_size:.1f} s'
            return
        for processes in sorted({self.processes, self.recipe_processes}):
            seconds = self.seconds_per_epoch(processes)
            plural = 'process' if processes == 1 else 'processes'
            yield (
                f'{processes} {plural}: {_duration(seconds)} per epoch of {self.num_images:,} images, '
                f'{_duration(seconds * self.max_epochs)} for {self.max_epochs:g} epochs'
            )


def dry_run(cfg: Config) -> Report:
    """Builds everything that ``cfg`` names, runs one iteration after one to warm up, and reports the cost.

    The run is the real one, stopped after its second iteration, in a work directory that is removed. Datasets that
    cannot be built are a problem in the report, and synthetic images pass through the same views in their place. On a
    CPU the batch is reduced to what takes seconds, on a GPU to what fits, and the figures are scaled to the full batch.

    Args:
        cfg: A config that ``check_config`` found nothing wrong with.

    Raises:
        ValueError: A part of the config is wrong in a way that only shows when it is built or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        cfg = copy.deepcopy(cfg)
        cfg.update(work_dir=folder, log_level='ERROR', visualizer=None)
        ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('out_dir', None)
        problems, notes, num_images = _replace_missing_data(cfg, Path(folder) / 'images')
        problems += _replace_missing_weights(cfg)
        if cfg.optim_wrapper.get('dtype') == 'float16' and not torch.cuda.is_available():
            cfg.optim_wrapper.dtype = 'bfloat16'
            problems.append('float16 needs a GPU; measured in bfloat16, which --amp bf16 would train in')
        full = cfg.train_dataloader.batch_size
        batch_size = full if torch.cuda.is_available() else min(full, _cpu_batch_size(cfg))
        while True:
            cfg.experiment_name = f'{Path(folder).name}_{batch_size}'  # MMEngine reuses loggers of the same name
            try:
                probe = _Probe()
                runner = _run(cfg, batch_size, probe)
                break
            except torch.OutOfMemoryError:
                if batch_size == 1:
                    raise
                problems = [p for p in problems if not p.startswith('batch size')]
                batch_size //= 2
                problems.append(f'batch size {full} does not fit in memory; {batch_size} does')
            except ValueError as error:  # such as a norm group that the reduced batch does not fill
                if batch_size >= full or isinstance(error, UserError) or user_message(error) is None:
                    raise
                batch_size = min(2 * batch_size, full)
        report = _report(cfg, runner, probe, problems, num_images, full, batch_size)
        report.notes += notes
        return report


class _Stop(Exception):
    """Ends the run after the measured iteration."""


class _Probe(Hook):
    """Measures the second iteration, or the only one, and in the first what is kept for the backward pass."""

    priority = 'VERY_LOW'

    def __init__(self) -> None:
        self.saved = SavedBytes()
        self.seconds: dict[str, float] = {}
        self._iterations = 0
        self._mark = 0.0

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        self.seconds['data'] = self._lap()
        if self._iterations == 0:
            self._recording = count_saved_bytes(runner.model)
            self.saved = self._recording.__enter__()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: dict | None = None
    ) -> None:
        self.seconds['model'] = self._lap()
        if self._iterations == 0:
            self._recording.__exit__(None, None, None)
        if self._iterations > 0 or runner.max_iters == 1:
            raise _Stop
        self._iterations += 1
        self._lap()

    def _lap(self) -> float:
        """Seconds since the last call."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        lap, self._mark = now - self._mark, now
        return lap


def _run(cfg: Config, batch_size: int, probe: _Probe) -> Runner:
    cfg = copy.deepcopy(cfg)
    cfg.train_dataloader.update(batch_size=batch_size, num_workers=0, persistent_workers=False)
    cfg.train_dataloader.pop('prefetch_factor', None)
    runner = RUNNERS.build(cfg)
    for hook in _labelling_hooks(runner):
        hook.only_estimate = True
    runner.register_hook(probe)
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    try:
        runner.train()
    except _Stop:
        return runner
    raise UserError(f'the run ended after {runner.iter} of {runner.max_iters} iterations, before it could be measured')


def _report(
    cfg: Config,
    runner: Runner,
    probe: _Probe,
    problems: list[str],
    num_images: int | None,
    batch_size: int,
    measured_batch_size: int,
) -> Report:
    model = unwrap(runner.model)
    scale = batch_size / measured_batch_size
    memory = _memory(model, runner.optim_wrapper.optimizer, probe.saved.total * scale)
    notes = []
    device = 'CPU'
    if torch.cuda.is_available():
        device = torch.cuda.get_device_name()
        memory['peak'] = torch.cuda.max_memory_allocated() * scale
    if scale > 1:
        notes.append(f'measured with {measured_batch_size} images per process, scaled to {batch_size}')
    problems += wrong_queues(model, batch_size)
    if num_images is not None:
        problems += [problem for hook in _labelling_hooks(runner) for problem in hook.problems(num_images)]
    loader = runner.train_dataloader
    if loader.drop_last and loader.batch_size is not None and len(loader.sampler) < batch_size:
        problems.append(too_few_images(loader, batch_size))
    workers = max(min(cfg.train_dataloader.get('num_workers', 0), (os.cpu_count() or 1) // world_size()), 1)
    seconds = {'data loading': probe.seconds['data'] * scale / workers, 'training step': probe.seconds['model'] * scale}
    if any(str(dataset.get('data_root')).startswith(cfg.work_dir) for dataset in datasets(cfg, ['train'])):
        notes.append('measured on synthetic images, since the data is not here')
    notes.append(f'data loading: {workers} workers that share the work perfectly are assumed, at most one per core')
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size', batch_size * world_size())
    return Report(
        parameters=_count_parameters(model),
        memory=memory,
        seconds=seconds,
        batch_size=batch_size,
        measured_batch_size=measured_batch_size,
        processes=world_size(),
        recipe_processes=max(base // batch_size, 1),
        num_images=num_images,
        max_epochs=_epochs(runner, num_images, batch_size * world_size()),
        device=device,
        labelling={
            name: size
            for hook in _labelling_hooks(runner)
            for name, size in hook.estimate(num_images or len(runner.train_dataloader.dataset), model).items()
        },
        problems=problems,
        notes=notes,
    )


def _epochs(runner: Runner, num_images: int | None, global_batch: int) -> float:
    """Epochs of the run, also of one that is counted in iterations."""
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


def _memory(model: nn.Module, optimizer: torch.optim.Optimizer, activations: float) -> dict[str, float]:
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


def _replace_missing_data(cfg: Config, folder: Path) -> tuple[list[str], list[str], int | None]:
    """Builds every dataset once; one that cannot be built is reported and its config replaced by synthetic images.

    Returns:
        Problems, notes, and the number of training images, None where it is not known.
    """
    if cfg.get('default_scope') in ('mmdet', 'mmseg'):
        return _replace_missing_annotations(cfg, folder)
    places: dict[str, list[str]] = defaultdict(list)
    num_images = None
    for place, loader in _dataloaders(cfg):
        dataset = loader['dataset']
        try:
            length: int | None = len(DATASETS.build(dataset))
        except (FileNotFoundError, ValueError) as error:
            if user_message(error) is None:
                raise
            length = _published_size(cfg)
            places[str(error)].append(place)
            _write_synthetic(folder, 4 * loader['batch_size'] * world_size())
            view_cfg = {key: dataset[key] for key in ('views', 'transform') if key in dataset}
            loader['dataset'] = dict(type='ClassFolder', data_root=str(folder), **view_cfg)
        if place == 'train_dataloader':
            num_images = length
    return [f'{", ".join(found)}: {message}' for message, found in places.items()], [], num_images


def _replace_missing_annotations(cfg: Config, folder: Path) -> tuple[list[str], list[str], int | None]:
    """The same for a detector or segmenter, whose data are checked; validation needs them all."""
    found = check_annotations(cfg)
    if not found.problems:
        return [], found.notes, len(DATASETS.build(cfg.train_dataloader.dataset))
    number = 4 * cfg.train_dataloader.batch_size * world_size()
    num_classes = max(head['num_classes'] for _, head in heads_with_classes(cfg.model))
    noise = write_noise(folder, number, num_classes, cfg.default_scope)
    for dataset in datasets(cfg, ['train']):
        pipeline = dataset.get('pipeline', [])
        shifts = any(step.get('reduce_zero_label') for step in pipeline)
        dataset.clear()
        dataset.update(noise, pipeline=pipeline, **(dict(reduce_zero_label=True) if shifts else {}))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('save_best', None)
    return found.problems, found.notes, _published_size(cfg)


def _published_size(cfg: Config) -> int | None:
    parts = Path(cfg.filename or '').stem.split('_')
    return next((_PUBLISHED_SIZES[part] for part in parts if part in _PUBLISHED_SIZES), None)


def _replace_missing_weights(cfg: Config) -> list[str]:
    """Reports files of weights that a target is made with and that are not here, and has random weights instead."""
    problems = []
    for place, path in missing_target_weights(cfg).items():
        problems.append(f'{place}: {path!r} does not exist; measured with random weights')
        cfg.merge_from_dict({place: None})
    return problems


def _dataloaders(node: Any, place: str = '') -> Iterator[tuple[str, dict]]:
    """Every dataloader that training uses, with its dotted key."""
    for key, value in node.items():
        inner = f'{place}.{key}' if place else key
        if not isinstance(value, dict) or key.startswith(('_', 'test_')):
            continue
        if key.endswith('dataloader'):
            yield inner, value
        else:
            yield from _dataloaders(value, inner)


def _write_synthetic(folder: Path, number: int) -> None:
    """One random image of one class under ``number`` names: hard links, since only their content costs."""
    folder = folder / 'class'
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / '0.png'
    if not first.exists():
        pixels = np.random.default_rng(0).integers(0, 256, (_SYNTHETIC_SIDE, _SYNTHETIC_SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(first)
    for index in range(1, number):
        if not (link := folder / f'{index}.png').exists():
            link.hardlink_to(first)


def _cpu_batch_size(cfg: Config) -> int:
    """Images per view that cost as much as ``_CPU_IMAGES`` of 224 px."""
    if cfg.get('default_scope') in ('mmdet', 'mmseg'):
        return _CPU_ANNOTATED
    size = max((view.get('size', _CPU_SIZE) for view in cfg.train_dataloader.dataset.get('views', [])), default=224)
    return max(2 ** int(np.log2(_CPU_IMAGES * (_CPU_SIZE / size) ** 2)), _CPU_IMAGES)


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f'{seconds:.1f} s'
    minutes = seconds / 60
    return f'{minutes:.0f} min' if minutes < 120 else f'{minutes / 60:.1f} h'

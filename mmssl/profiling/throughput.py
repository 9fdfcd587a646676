"""The time of a recipe: loading, augmentation, model, and the whole run."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmssl.config.load import drop_evaluations
from mmssl.datasets.collate_views import collate_views
from mmssl.models.algorithms.labelled import with_placeholder_labels
from mmssl.profiling.machine import device_name, peak_memory, reset_peak_memory, sum_of_losses, synchronize
from mmssl.registry import RUNNERS


def measure_throughput(cfg: Config, num_iters: int = 10, repeats: int = 5) -> dict[str, Any]:
    """Runs the recipe of ``cfg`` without evaluation, and measures its parts alone and together.

    All rates count images with all of their views. Every figure is a median over ``repeats``, and compared figures are
    measured in turns. No file is written.

    Args:
        cfg: Config of a training.
        num_iters: Number of batches in one measurement of the whole run.
        repeats: Number of measurements.

    Returns:
        ``loader_per_worker``: decoded, cropped and collated by one thread, images/s;
        ``augmentation``: moved, augmented and normalised on the device, images/s;
        ``model_step``: forward, backward and optimizer on synthetic images, images/s;
        ``end_to_end``: with the config's workers, images/s; ``data_wait``: share of that time without a batch;
        ``augmentation_share``: time of the augmentation / time of the model step;
        ``step_overhead``: time of an iteration of the training loop with all its hooks / time of the same modules
        called in a bare loop; ``peak_memory``: bytes, of the GPU, or of this process without a GPU; ``batch_size``,
        ``num_workers``, ``device``.

    Raises:
        ValueError: ``num_iters`` or ``repeats`` is less than 1.
    """
    if min(num_iters, repeats) < 1:
        raise ValueError(f'num_iters and repeats must be at least 1, got {num_iters} and {repeats}')
    with tempfile.TemporaryDirectory() as folder:
        cfg = Config(cfg.to_dict())
        cfg.visualizer = dict(type='mmssl.RunVisualizer')  # update() would keep the backends of the config
        cfg.update(
            work_dir=folder,
            log_level='ERROR',
            experiment_name=folder.rpartition('/')[2],
        )
        drop_evaluations(cfg)
        runner = RUNNERS.build(cfg)
        probe = _Probe(num_iters, repeats)
        runner.register_hook(probe, priority='LOWEST')
        try:
            runner.train()
        except _Finished:
            pass
    return probe.results


class _Finished(Exception):
    """Ends the run when everything is measured."""


class _Probe(Hook):
    """Measures before the first epoch, when everything is built."""

    def __init__(self, num_iters: int, repeats: int) -> None:
        self.num_iters, self.repeats = num_iters, repeats
        self.results: dict[str, Any] = {}

    def before_train_epoch(self, runner: Runner) -> None:
        if self.results:
            return
        runner.model.train()
        self.results = _measure(runner, self.num_iters, self.repeats)
        raise _Finished


def _measure(runner: Runner, num_iters: int, repeats: int) -> dict[str, Any]:
    loader, device = runner.train_dataloader, next(runner.model.parameters()).device
    preprocessor, size = runner.algorithm.data_preprocessor, loader.batch_size
    reset_peak_memory(device)
    batch = next(iter(loader))
    inputs = preprocessor(batch, True)
    synthetic = dict(inputs, inputs=[torch.randn_like(view) for view in inputs['inputs']])
    parts: dict[str, Callable[[], Any]] = dict(
        loader_per_worker=lambda: _load(loader.dataset, size),
        augmentation=lambda: preprocessor(batch, True),
        model_step=lambda: _bare_step(runner, synthetic),
        bare=lambda: _bare_step(runner, preprocessor(batch, True)),
        loop=lambda: runner.train_loop.run_iter(0, batch),
    )
    for part in parts.values():  # warm up
        part()
    seconds: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(repeats):
        for name, part in parts.items():
            seconds[name].append(_seconds(part, device))
    whole = [_run(runner, num_iters, device) for _ in range(repeats)]
    median = {name: statistics.median(values) for name, values in seconds.items()}
    return dict(
        loader_per_worker=size / median['loader_per_worker'],
        augmentation=size / median['augmentation'],
        model_step=size / median['model_step'],
        end_to_end=statistics.median(size / per_iter for per_iter, _ in whole),
        data_wait=statistics.median(wait / per_iter for per_iter, wait in whole),
        augmentation_share=median['augmentation'] / median['model_step'],
        step_overhead=statistics.median(loop / bare for loop, bare in zip(seconds['loop'], seconds['bare'])),
        peak_memory=peak_memory(device),
        batch_size=size,
        num_workers=loader.num_workers,
        device=device_name(device),
    )


def _seconds(part: Callable[[], Any], device: torch.device) -> float:
    synchronize(device)
    start = time.perf_counter()
    part()
    synchronize(device)
    return time.perf_counter() - start


def _load(dataset: Any, size: int) -> None:
    with _one_thread():  # as in a worker
        collate_views([dataset[0, index % len(dataset)] for index in range(size)])


def _bare_step(runner: Runner, inputs: dict[str, Any]) -> None:
    """Runs the operations of an iteration without MMEngine."""
    wrapper, algorithm = runner.optim_wrapper, runner.algorithm
    samples = with_placeholder_labels(algorithm, inputs['data_samples'], len(inputs['inputs'][0]))
    inputs = dict(inputs, data_samples=samples)
    with torch.autocast(wrapper.device_type, dtype=wrapper.dtype, enabled=wrapper.dtype is not None):
        terms = runner.model(**inputs, mode='loss')
    wrapper.loss_scaler.scale(sum_of_losses(terms)).backward()
    wrapper.loss_scaler.step(wrapper.optimizer)
    wrapper.loss_scaler.update()
    wrapper.optimizer.zero_grad()
    algorithm.on_step_end(0.5)


def _run(runner: Runner, num_iters: int, device: torch.device) -> tuple[float, float]:
    """Trains on ``num_iters`` batches; returns seconds per iteration, and seconds of these spent waiting for data."""
    batches = _endless(runner)
    runner.train_loop.run_iter(0, next(batches))  # starts the workers before the clock
    synchronize(device)
    start, wait = time.perf_counter(), 0.0
    for index in range(1, num_iters + 1):
        before = time.perf_counter()
        batch = next(batches)
        wait += time.perf_counter() - before
        runner.train_loop.run_iter(index, batch)
    synchronize(device)
    return (time.perf_counter() - start) / num_iters, wait / num_iters


def _endless(runner: Runner) -> Iterator[Any]:
    while True:
        yield from runner.train_dataloader


@contextmanager
def _one_thread() -> Iterator[None]:
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(num_threads)

"""Time of a recipe beside other toolboxes that are installed, each in a process of its own."""

from __future__ import annotations

import importlib.util
import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import Tensor

from mmssl.engine.freed_memory import keep_freed_memory
from mmssl.profiling.machine import device_name, peak_memory
from mmssl.profiling.peer_data import LOADERS, Load, own_batches
from mmssl.profiling.peer_steps import PEERS, Train
from mmssl.profiling.recipe_step import OperatorCount, RecipeStep, read_batch
from mmssl.profiling.timing import Task, measure_in_turns, time_once
from mmssl.utils.errors import UserError

Run = Callable[[], Any]
# What this process can be asked to run: 'train' on views in memory, 'data', which loads views, and 'step', both.
_RUNS: dict[str, Run] = {}


def compare_steps(
    cfg: Config, batch_size: int | None = None, repeats: int = 5, images: str | None = None
) -> dict[str, Any]:
    """Measures the step of a recipe and that of each installed toolbox that has the method, in turns, in float32.

    The other toolboxes run as their examples do: with their own modules and losses, torchvision's or timm's network,
    their own optimizer, and contiguous memory (lightly) or channels last (solo-learn). Every toolbox has a process of
    its own. In its process mmssl keeps freed memory on a CPU, as its trainings do.

    Without ``images``, a step trains on views that lie on the device, and no data is read. With ``images``, every step
    begins with a new batch from the toolbox's own dataset and transforms, without workers, so that the processor time
    counts everything; crops, flips, jitter, blur and solarisation have the sizes and probabilities of the recipe's
    views.

    Args:
        cfg: Config of a pre-training with a method of ``PEERS``.
        batch_size: Number of images; None uses the config's.
        repeats: Number of measurements; all figures are medians.
        images: Folder of images without subfolders, at least ``batch_size``; None reads none.

    Returns:
        ``seconds`` of ``mmssl`` and each toolbox; ``ratios`` of mmssl's time to that of each toolbox: median, least and
        most of the ratios within a round; on a CPU this is processor time. ``data_seconds`` and ``data_ratios``: the
        same for loading and augmentation alone, empty without ``images``. ``operators`` of a step and ``peak_memory``
        in bytes, see ``machine.peak_memory``, by toolbox. ``missing``: toolboxes that are not installed; ``views``,
        ``batch_size``, ``device``.

    Raises:
        UserError: No toolbox has the method, or ``images`` has fewer images than a batch.
    """
    builders = PEERS.get(cfg.model.type)
    if builders is None:
        raise UserError(f'{cfg.model.type} is compared with no toolbox; there are {", ".join(PEERS)}')
    cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=None)
    if images is not None:
        views = cfg.train_dataloader.dataset.views
        cfg.train_dataloader.dataset = dict(type='ImageFolder', data_root=images, views=views)
    installed = {name: build for name, build in builders.items() if importlib.util.find_spec(name)}
    with ExitStack() as stack:
        pools = {}
        for name in ('mmssl', *installed):
            pools[name] = stack.enter_context(ProcessPoolExecutor(1, get_context('spawn')))
            toolbox = None if name == 'mmssl' else (installed[name], LOADERS[name])
            sizes = pools[name].submit(_prepare, cfg, batch_size, images, toolbox).result()
        parts = ('step',) if images is None else ('step', 'data')
        tasks = {f'{name} {part}': (name, part) for name in pools for part in parts}

        def measure(task: str) -> tuple[float, float]:
            name, part = tasks[task]
            return pools[name].submit(_time, part).result()

        laps = measure_in_turns(list(tasks), measure, repeats)
        peaks = {name: pool.submit(_peak_memory).result() for name, pool in pools.items()}
        operators = {name: pool.submit(_count_operators).result() for name, pool in pools.items()}
    clock = 0 if torch.cuda.is_available() else 1
    seconds = {task: [lap[task][clock] for lap in laps] for task in tasks}

    def medians(part: str) -> dict[str, float]:
        return {name: statistics.median(seconds[f'{name} {part}']) for name in pools if part in parts}

    def ratios(part: str) -> dict[str, tuple[float, float, float]]:
        own = seconds.get(f'mmssl {part}', [])
        return {name: _ratio(own, seconds[f'{name} {part}']) for name in installed if part in parts}

    return dict(
        seconds=medians('step'),
        ratios=ratios('step'),
        data_seconds=medians('data'),
        data_ratios=ratios('data'),
        operators=operators,
        peak_memory=peaks,
        missing=[name for name in builders if name not in installed],
        views=[size for _, size in sizes],
        batch_size=sizes[0][0],
        device=device_name(_device()),
    )


def _ratio(own: Sequence[float], other: Sequence[float]) -> tuple[float, float, float]:
    """Returns median, least and most of the ratios of two lists."""
    found = [a / b for a, b in zip(own, other)]
    return statistics.median(found), min(found), max(found)


def _device() -> torch.device:
    return torch.device('cuda' if torch.cuda.is_available() else 'cpu')


def _prepare(cfg: Config, batch_size: int | None, images: str | None, toolbox: Any) -> list[tuple[int, int]]:
    """Builds what this process is asked to time; returns the number of images and the size of each view.

    Args:
        cfg: Config of the recipe.
        batch_size: Number of images, see ``compare_steps``.
        images: Folder of images, or None.
        toolbox: Functions that build step and loading of a toolbox, see ``PEERS`` and ``LOADERS``; None for mmssl.
    """
    init_default_scope('mmssl')
    device = _device()
    if toolbox is None and device.type == 'cpu':
        keep_freed_memory()
    step = RecipeStep(cfg, read_batch(cfg, batch_size), device)
    views = [view.contiguous() for view in step.data['inputs']]
    build, build_load = toolbox or (partial(_own_train, step), partial(_own_load, step, cfg))
    train = build(cfg, views)
    _RUNS['train'] = _RUNS['step'] = lambda: train(views)
    if images is not None:
        load = build_load(images, cfg.train_dataloader.dataset.views, len(views[0]), device)
        _RUNS['data'], _RUNS['step'] = load, lambda: train(load())
    return [(len(view), view.shape[-1]) for view in views]


def _own_train(step: RecipeStep, cfg: Config, views: Sequence[Tensor]) -> Train:
    return lambda views: step.run()  # on the views that it took last


def _own_load(
    step: RecipeStep, cfg: Config, folder: str, specs: Sequence[dict], batch_size: int, device: torch.device
) -> Load:
    batches = own_batches(cfg, batch_size)

    def load() -> Sequence[Tensor]:
        step.take(next(batches))
        return step.data['inputs']

    return load


def _time(part: str) -> tuple[float, float]:
    return time_once(Task(None, _RUNS[part]), _device())


def _count_operators() -> int:
    with OperatorCount() as operators:
        _RUNS['train']()
    return operators.number


def _peak_memory() -> int:
    return peak_memory(_device())

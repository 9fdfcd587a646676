"""The table of all methods on one device, as Markdown, within a budget of time."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import multiprocessing
from torch.nn.parallel import DistributedDataParallel

from mmssl.config.load import load_config
from mmssl.config.recipes import select_recipes
from mmssl.profiling.machine import synchronize
from mmssl.profiling.recipe_step import RecipeStep, measure_recipe, read_batch
from mmssl.profiling.stand_ins import replace_missing_data
from mmssl.profiling.throughput import measure_throughput
from mmssl.utils.errors import UserError

# Methods in the order of their use; others follow by name.
FIRST = ('simclr', 'mae', 'dino', 'mocov3', 'barlowtwins', 'byol', 'vicreg', 'swav', 'moco', 'simsiam')
START, END = '<!-- device table -->', '<!-- end of device table -->'
NOT_MEASURED = 'not measured'


def default_recipes(dataset: str = 'in1k') -> list[str]:
    """Returns one recipe of each method for a dataset: the first by name that is not large or huge."""
    chosen: dict[str, str] = {}
    for name in select_recipes(dataset=dataset):
        if not {'large', 'huge'} & set(name.replace('_', '-').split('-')):
            chosen.setdefault(name.partition('_')[0], name)
    order = [*(method for method in FIRST if method in chosen), *(method for method in chosen if method not in FIRST)]
    return [chosen[method] for method in order]


def measure_table(
    recipes: Sequence[str],
    minutes: float,
    batch_size: int | None = None,
    dtype: str | None = 'bfloat16',
    repeats: int = 3,
    compiled: bool = True,
    change: Callable[[Config], Config] = lambda cfg: cfg,
) -> dict[str, Any]:
    """Measures recipes one after the other until the time is up; what fails or is left is named in the result.

    Args:
        recipes: Names of recipes.
        minutes: Time after which no other measurement begins. The last third is kept for loading and several GPUs.
        batch_size: Number of images; None uses 64, or the config's if it is smaller.
        dtype: ``'bfloat16'``, or None for float32.
        repeats: Number of measurements of each figure.
        compiled: Whether to measure compiled blocks in the first half of the time.
        change: Function that each config passes through before it is measured.

    Returns:
        ``steps``: recipe -> ``measure_recipe``, or an error message; ``data_wait`` of the first recipe, ``scaling`` of
        the first recipe: number of processes -> images/s; None if there is one GPU or the time is up.
    """
    start = time.monotonic()
    steps: dict[str, dict[str, Any] | str] = dict.fromkeys(recipes, NOT_MEASURED)
    configs = {name: _config(name, batch_size, change) for name in recipes}
    for name, cfg in configs.items():
        spent = (time.monotonic() - start) / 60
        if spent > minutes * 2 / 3:
            break
        try:
            steps[name] = measure_recipe(cfg, None, repeats, dtype, compiled and spent < minutes / 2)
        except (UserError, ValueError, RuntimeError, KeyError) as error:  # one recipe must not end the table
            steps[name] = f'failed: {str(error).splitlines()[0] if str(error) else type(error).__name__}'
    first = next(iter(configs.values()))
    left = minutes * 60 > time.monotonic() - start
    wait = _measure_wait(first, dtype) if left else None
    devices = torch.cuda.device_count()
    left = minutes * 60 > time.monotonic() - start
    scaling = measure_scaling(first, devices, dtype) if devices > 1 and left else None
    return dict(steps=steps, data_wait=wait, scaling=scaling)


def _config(name: str, batch_size: int | None, change: Callable[[Config], Config]) -> Config:
    cfg = load_config(name)
    cfg = change(cfg)
    cfg.train_dataloader.batch_size = batch_size or min(64, cfg.train_dataloader.batch_size)
    return cfg


def _measure_wait(cfg: Config, dtype: str | None) -> dict[str, float]:
    cfg = Config(cfg.to_dict())
    cfg.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=dtype)
    with tempfile.TemporaryDirectory() as folder:
        replace_missing_data(cfg, Path(folder))
        figures = measure_throughput(cfg, num_iters=3, repeats=3)
    return {key: figures[key] for key in ('end_to_end', 'model_step', 'data_wait')}


def measure_scaling(cfg: Config, most: int, dtype: str | None, repeats: int = 5) -> dict[int, float]:
    """Returns number of processes -> images/s of all of them, for 1, 2, 4, ... up to ``most`` processes.

    Each process has the batch of the config and its own GPU (NCCL); without GPUs the processes share the CPU (gloo).
    """
    rates = {}
    number = 1
    while number <= most:
        with tempfile.TemporaryDirectory() as folder:
            arguments = (number, Path(folder).as_uri() + '/store', cfg.to_dict(), dtype, repeats, f'{folder}/seconds')
            multiprocessing.spawn(_time_process, arguments, nprocs=number)
            seconds = float(Path(folder, 'seconds').read_text())
        rates[number] = number * cfg.train_dataloader.batch_size / seconds
        number *= 2
    return rates


def _time_process(rank: int, number: int, store: str, cfg: dict, dtype: str | None, repeats: int, result: str) -> None:
    init_default_scope('mmssl')  # this process has no scope yet
    has_gpu = torch.cuda.is_available()
    device = torch.device('cuda', rank) if has_gpu else torch.device('cpu')
    if has_gpu:
        torch.cuda.set_device(device)
    os.environ['LOCAL_RANK'] = str(rank)
    dist.init_process_group('nccl' if has_gpu else 'gloo', init_method=store, rank=rank, world_size=number)
    config = Config(cfg)
    config.optim_wrapper.update(type='MixedPrecisionOptimWrapper', dtype=dtype)
    step = RecipeStep(config, read_batch(config), device)
    model = DistributedDataParallel(step.algorithm, device_ids=[rank] if has_gpu else None) if number > 1 else None
    run = partial(step.run, model)
    for _ in range(2):
        run()
    synchronize(device)
    dist.barrier()
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    synchronize(device)
    dist.barrier()
    if rank == 0:
        Path(result).write_text(str((time.perf_counter() - start) / repeats))
    dist.destroy_process_group()


def table_text(figures: dict[str, Any]) -> str:
    """Returns the Markdown of ``measure_table``: a row per recipe, then loading and several processes."""
    lines = [
        '| recipe | images | images/s | contiguous | compiled | not fused | joint / apart | augmentation | operators |',
        '|---|---|---|---|---|---|---|---|---|',
    ]
    for name, step in figures['steps'].items():
        if isinstance(step, str):
            lines.append(f'| `{name}` | {step} |' + ' |' * 7)
            continue
        ratio = {key: f'{value:.2f}' for key, value in step['ratios'].items()}
        cells = [
            f'`{name}`',
            f'{step["batch_size"]}, {step["dtype"]}',
            f'{step["batch_size"] / (step["seconds"]["step"] + step["seconds"]["augmentation"]):.3g}',
            *(ratio.get(key, '') for key in ('contiguous', 'compiled', 'not_fused')),
            ratio.get('joint', ratio.get('apart', '')),
            _share_text(step),
            f'{step["operators"]["step"]} + {step["operators"]["augmentation"]}',
        ]
        lines.append('| ' + ' | '.join(cells) + ' |')
    wait = figures['data_wait']
    waiting = NOT_MEASURED if wait is None else f'{wait["data_wait"]:.1%}'
    lines += ['', f'Share of time without a batch, first recipe: {waiting}.']
    rates = figures['scaling'] or {}
    shown = ', '.join(f'{number}: {rate:.3g}' for number, rate in rates.items()) or NOT_MEASURED
    lines += [f'Images/s of 1, 2, 4, ... processes, first recipe: {shown}.']
    return '\n'.join(lines)


def _share_text(step: dict[str, Any]) -> str:
    """Returns the share of the augmentation, and in brackets its share without the Triton kernel."""
    seconds = step['seconds']
    if 'torch_augmentation' not in seconds:
        return f'{step["augmentation_share"]:.1%}'
    slower = seconds['torch_augmentation']
    return f'{step["augmentation_share"]:.1%} ({slower / (slower + seconds["step"]):.1%})'


def write_table(text: str, file: Path) -> None:
    """Replaces what stands between the marks ``START`` and ``END`` of a document.

    Raises:
        UserError: The document has no such marks.
    """
    before, start, rest = file.read_text().partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise UserError(f'{file} has no lines {START} and {END}, between which the table is written')
    file.write_text(f'{before}{START}\n{text}\n{END}{after}')

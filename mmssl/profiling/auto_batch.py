"""The recipe's batch on the devices that are there: measures which micro-batch fits into memory."""

from __future__ import annotations

import copy
import gc
import tempfile
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.logging import print_log
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from mmssl.distributed.unwrap import unwrap
from mmssl.engine.micro_batches import parts_in_micro_batches
from mmssl.profiling.dry_run import Probe, bytes_in_use, device, larger_batch, run_two_iterations
from mmssl.profiling.machine import free_memory
from mmssl.profiling.saved_bytes import count_saved_bytes
from mmssl.profiling.stand_ins import replace_missing_data, replace_missing_weights
from mmssl.utils.errors import UserError

_MEASURED_IMAGES = 8
_SHARE = 0.8  # of the free memory; the rest is for what a step needs for a moment


def use_recipe_batch(cfg: Config, processes: int) -> None:
    """Sets the images per process such that a step has as many images as the recipe's.

    Args:
        cfg: Config; its ``train_dataloader.batch_size`` is changed.
        processes: Number of processes of the run.

    Raises:
        UserError: The recipe does not state its batch, or the processes cannot share it equally.
    """
    whole = (cfg.get('auto_scale_lr') or {}).get('base_batch_size')
    if whole is None:
        raise UserError('auto_batch needs auto_scale_lr = dict(base_batch_size=...) in the config')
    shares = processes * cfg.optim_wrapper.get('accumulative_counts', 1)
    if whole % shares:
        raise UserError(f'{shares} processes (times accumulative_counts) cannot share the {whole} images of a step')
    cfg.train_dataloader.batch_size = whole // shares


def find_micro_batch(cfg: Config, budget: float | None = None) -> int | None:
    """Returns the largest power of two that fits into memory as ``micro_batch``; None if the whole batch fits.

    Two iterations of the run with a few images are measured, in a temporary folder and with one process. On a GPU the
    result is then tried with the whole batch, and halved until it fits.

    Args:
        cfg: Config that has passed ``check_config``, with the full batch.
        budget: Bytes that the run may use; None means 80 % of the free memory.

    Raises:
        UserError: Not even a micro-batch of one image fits.
    """
    budget = _SHARE * free_memory(device()) if budget is None else budget
    full = cfg.train_dataloader.batch_size
    probe = _measure_few(cfg, full)
    size = probe.largest_that_fits(full, budget)
    while device().type == 'cuda' and not _fits(cfg, full, size):
        size = (1 << (probe.rows(full) - 1).bit_length() if size is None else size) // 2
        if not size:
            raise _does_not_fit(full)
    text = 'all of which fit' if size is None else f'micro_batch={size}'
    print_log(f'auto_batch: {full} images per step and process, {text}', logger='current')
    return size


def _measure_few(cfg: Config, full: int) -> _PartsProbe:
    """Measures as few images as the method takes."""
    images = min(full, _MEASURED_IMAGES)
    while True:
        try:
            probe = _PartsProbe()
            _measure(cfg, images, None, probe)
            return probe
        except ValueError as error:
            images = larger_batch(images, full, error)


def _fits(cfg: Config, batch_size: int, micro_batch: int | None) -> bool:
    """Returns whether two iterations run on the GPU without running out of its memory."""
    try:
        _measure(cfg, batch_size, micro_batch, Probe())
        return True
    except torch.OutOfMemoryError:
        return False
    finally:
        gc.collect()
        torch.cuda.empty_cache()


def _measure(cfg: Config, batch_size: int, micro_batch: int | None, probe: Probe) -> None:
    with tempfile.TemporaryDirectory() as folder:
        cfg = copy.deepcopy(cfg)
        cfg.visualizer = dict(type='mmssl.RunVisualizer')  # update() would keep the backends of the config
        cfg.update(
            work_dir=folder,
            log_level='ERROR',
            launcher='none',
            resume=False,
            load_from=None,
        )
        cfg.update(val_cfg=None, val_dataloader=None, val_evaluator=None, micro_batch=micro_batch)
        checkpoint = (cfg.get('default_hooks') or {}).get('checkpoint') or {}
        for key in ('save_best', 'out_dir'):
            checkpoint.pop(key, None)
        cfg.experiment_name = f'{Path(folder).name}_{batch_size}_{micro_batch}'
        replace_missing_data(cfg, Path(folder) / 'images')  # a dry run is possible without data and weights
        replace_missing_weights(cfg)
        run_two_iterations(cfg, batch_size, probe)


def _does_not_fit(images: int) -> UserError:
    return UserError(
        f'auto_batch: a step of {images} images per process does not fit into memory, however small the '
        'micro-batch is: use more processes, --amp, or a smaller train_dataloader.batch_size with --auto-scale-lr'
    )


class _PartsProbe(Probe):
    """Counts the bytes that the parts of an algorithm keep per row, and those that everything else keeps per image."""

    def __init__(self) -> None:
        super().__init__()
        self.per_row = self.all_rows = self.inputs = self.most_rows = self.fixed = 0.0
        self.images = 1

    def before_train(self, runner: Runner) -> None:
        """Makes the backbones and necks count."""
        self.images = runner.train_dataloader.batch_sampler.batch_size
        for part in parts_in_micro_batches(unwrap(runner.model)).values():
            part.forward = self._counted(part, part.forward)  # type: ignore[method-assign]

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        """Starts counting the inputs of an iteration."""
        self.inputs = self.all_rows = 0.0
        super().before_train_iter(runner, batch_idx, data_batch)

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Adds up weights, gradients and the state of the optimizer."""
        self.fixed = bytes_in_use(unwrap(runner.model), runner.optim_wrapper.optimizer, 0)['sum']
        super().after_train_iter(runner, batch_idx, data_batch, outputs)

    def _counted(self, part: nn.Module, forward: Callable) -> Callable:
        @wraps(forward)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            with count_saved_bytes(part) as saved:
                outputs = forward(*args, **kwargs)
            rows = len(tensors[0])
            self.all_rows += saved.total
            self.per_row = max(self.per_row, saved.total / rows)
            self.most_rows = max(self.most_rows, rows)
            self.inputs += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
            return outputs

        return wrapper

    def rows(self, images: int) -> int:
        """Returns the largest number of rows in a call of a part, for a batch of ``images``."""
        return round(self.most_rows * images / self.images)

    def largest_that_fits(self, images: int, budget: float) -> int | None:
        """Returns the largest micro-batch for a batch of ``images`` within ``budget`` bytes; None if all fit."""
        per_image = (self.saved.total + self.inputs) / self.images
        left = budget - self.fixed - per_image * images
        size = int(left / max(self.per_row, 1)) if left > 0 else 0
        if not size:
            raise _does_not_fit(images)
        whole = self.all_rows * images / self.images  # without micro-batches the graphs of all calls are kept
        return None if whole <= left else 2 ** (size.bit_length() - 1)

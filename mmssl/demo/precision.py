"""Measures which precision and memory layout is fastest on this machine."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device

from mmssl.datasets.collate_views import collate_views
from mmssl.engine.memory_format import set_memory_format
from mmssl.models.algorithms.labelled import with_placeholder_labels
from mmssl.registry import ALGORITHMS, DATASETS

NUM_PROBED = 64  # images of the batch on which precisions are timed


DTYPES, LAYOUTS = (None, 'bfloat16'), (torch.contiguous_format, torch.channels_last)


@dataclass
class Precision:
    """The fastest precision and memory layout on this machine.

    Args:
        dtype: dtype of autocast; None computes in float32.
        layout: Memory format of the weights.
        gain: Speed divided by that of float32 with contiguous weights.
        minutes_per_epoch: Duration of an epoch, estimated from a few steps.
    """

    dtype: str | None
    layout: torch.memory_format
    gain: float
    minutes_per_epoch: float

    def __str__(self) -> str:
        return f'{self.dtype or "float32"}{", channels last" if self.layout is torch.channels_last else ""}'


def time_precisions(cfg: Config) -> Precision:
    """Times a step of ``cfg.model`` in each precision and memory layout and returns the fastest."""
    dataset = DATASETS.build(cfg.train_dataloader.dataset)
    batch = collate_views([dataset[index % len(dataset)] for index in range(NUM_PROBED)])
    algorithm = ALGORITHMS.build(cfg.model).to(get_device())
    seconds = {}
    for dtype, layout in product(DTYPES, LAYOUTS):
        model = set_memory_format(deepcopy(algorithm).train(), layout)
        seconds[dtype, layout] = min(step_seconds(model, batch, dtype) for _ in range(3))
    fastest = min(seconds, key=lambda pair: seconds[pair])
    gain = seconds[None, torch.contiguous_format] / seconds[fastest]
    return Precision(*fastest, gain, minutes_per_epoch=seconds[fastest] / NUM_PROBED * len(dataset) / 60)


def step_seconds(model: Any, batch: dict, dtype: str | None) -> float:
    """Returns the seconds of one forward and backward pass.

    On a CPU this is processor time divided by the number of threads, so other programs do not lengthen it.
    """
    data = model.data_preprocessor(batch, True)
    device = data['inputs'][0].device
    data['data_samples'] = with_placeholder_labels(model, data['data_samples'], len(data['inputs'][0]))
    start = _now(device)
    with torch.autocast(device.type, dtype=torch.bfloat16, enabled=dtype is not None):
        losses = model(**data, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    return _now(device) - start


def _now(device: torch.device) -> float:
    if device.type == 'cuda':
        torch.cuda.synchronize(device)
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()

"""The log processor, which adds the wait for data and memory to log lines."""

from __future__ import annotations

import resource
from typing import Any

import torch
from mmengine.runner import LogProcessor, Runner

from mmssl.registry import LOG_PROCESSORS


@LOG_PROCESSORS.register_module()
class PretrainLogProcessor(LogProcessor):
    """MMEngine's log processor, which also reports ``data_wait`` and, without a GPU, ``memory``.

    ``data_wait`` is the share of time in which training waited for data, in [0, 1]. ``memory`` is the peak memory so
    far in MB: of the GPU, or of this process if there is no GPU.
    """

    def _collect_scalars(self, custom_cfg: list[dict], runner: Runner, mode: str, *args: Any, **kwargs: Any) -> dict:
        tag = super()._collect_scalars(custom_cfg, runner, mode, *args, **kwargs)
        for prefix in ('', f'{mode}/'):
            if tag.get(f'{prefix}time'):
                tag[f'{prefix}data_wait'] = tag[f'{prefix}data_time'] / tag[f'{prefix}time']
                if not torch.cuda.is_available():
                    tag[f'{prefix}memory'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        return tag

"""Worker processes that load images, and signals to them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from functools import partial
from multiprocessing import parent_process
from typing import Any

from torch.utils.data import DataLoader


def shield_workers(loader: DataLoader) -> DataLoader:
    """Makes the workers of a loader ignore SIGTERM unless their parent sends it; returns the loader.

    Clusters and torchrun send SIGTERM to all processes of a run, and so to its workers. The training completes its step
    and writes a checkpoint, see ``InterruptionHook``, for which its workers must live: torch raises an error in a
    process whose worker has died. A worker ends when its parent does, however the parent ends. On macOS, which does not
    tell who sent a signal, nothing changes.
    """
    if hasattr(signal, 'sigwaitinfo'):  # not on macOS
        loader.worker_init_fn = partial(_start_worker, then=loader.worker_init_fn)
        loader.__class__ = _ShieldedLoader
    return loader


class _ShieldedLoader(DataLoader):
    """A ``DataLoader`` whose workers begin with SIGTERM blocked: before ``_start_worker`` it would end them."""

    def __iter__(self) -> Any:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
        try:
            return super().__iter__()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(number: int, then: Callable[[int], None] | None) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # a worker that was not forked begins without it
    parent = parent_process()
    assert parent is not None
    threading.Thread(target=_end_with, args=(parent.pid,), daemon=True).start()
    if then is not None:
        then(number)


def _end_with(parent: int | None) -> None:
    """Ends this process when ``parent`` sends SIGTERM."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)

"""Worker processes that load images, and signals to them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from multiprocessing import parent_process
from typing import Any

from torch.utils.data import DataLoader


class ShieldedLoader(DataLoader):
    """A ``DataLoader`` whose workers ignore SIGTERM unless their parent sends it.

    Clusters and torchrun send SIGTERM to all processes of a run, and so to its workers. The training completes its step
    and writes a checkpoint, see ``InterruptionHook``, for which its workers must live: torch raises an error in a
    process whose worker has died. A worker ends when its parent does, however the parent ends. On macOS, which does not
    tell who sent a signal, nothing changes. Arguments are those of ``DataLoader``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs['worker_init_fn'] = partial(_start_worker, then=kwargs.get('worker_init_fn'))
        super().__init__(*args, **kwargs)

    def __iter__(self) -> Any:
        with _sigterm_blocked():  # a worker that is forked here is never without the shield
            return super().__iter__()


@contextmanager
def _sigterm_blocked() -> Iterator[None]:
    if not hasattr(signal, 'sigwaitinfo'):  # macOS
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _start_worker(number: int, then: Callable[[int], None] | None) -> None:
    parent = parent_process()
    if hasattr(signal, 'sigwaitinfo') and parent is not None:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})  # a worker that was not forked begins without it
        threading.Thread(target=_end_with, args=(parent.pid,), daemon=True).start()
    if then is not None:
        then(number)


def _end_with(parent: int | None) -> None:
    """Ends this process when ``parent`` sends SIGTERM."""
    while signal.sigwaitinfo({signal.SIGTERM}).si_pid != parent:
        pass
    os._exit(0)

"""Runs functions in processes that are forked from one which has imported everything; gloo processes are reused."""

from __future__ import annotations

import atexit
import pickle
import socket
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

TIMEOUT = 240.0
_PRELOADED = ['pytest', 'mmssl.models', 'mmssl.engine', 'torch.distributed.fsdp', 'tests.support.tiny_run']
_NO_GROUP, _ATTEMPTS = 'the processes did not find one another', 3  # on a busy machine gloo can fail to connect


def run_distributed(function: Callable[..., Any], world_size: int, *args: Any, timeout: float = TIMEOUT) -> list[Any]:
    """Calls ``function(*args)`` on every process of a group and returns the results in rank order.

    The processes live until the tests end and serve every call, because starting them is slow. Each has one thread and
    float64 as its default dtype. Every call has a new process group and the seed 0.

    Args:
        function: Function at the top level of a module.
        world_size: Number of processes.
        *args: Arguments of the function that ``pickle`` can store.
        timeout: Seconds until the call fails.

    Raises:
        RuntimeError: The function failed on a process; the message holds the traceback.
        TimeoutError: The function did not return in time.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _run_once(function, world_size, args, timeout)
        except RuntimeError as error:
            if _NO_GROUP not in str(error) or attempt == _ATTEMPTS:
                raise
    raise AssertionError('not reached')


def _run_once(function: Callable[..., Any], world_size: int, args: tuple, timeout: float) -> list[Any]:
    while len(_workers) < world_size:
        _workers.append(_Worker())
    workers = _workers[:world_size]
    with tempfile.TemporaryDirectory() as folder:
        for rank, worker in enumerate(workers):
            group = dict(init_method=(Path(folder) / 'store').as_uri(), rank=rank, world_size=world_size)
            worker.send((sys.path, function.__module__, function.__qualname__, args, group, timeout))
        try:
            return _collect(workers, timeout)
        except BaseException:
            stop()  # the other processes can wait for each other forever
            raise


def stop() -> None:
    """Ends all processes; the next call starts new ones."""
    for worker in _workers:
        worker.process.kill()
        worker.process.join()
    _workers.clear()


def _collect(workers: list[_Worker], timeout: float) -> list[Any]:
    results: dict[int, Any] = {}
    deadline = time.monotonic() + timeout
    while len(results) < len(workers):
        for rank, worker in enumerate(workers):
            if rank in results or not worker.connection.poll(0.005):
                continue
            try:
                failed, result = pickle.loads(worker.connection.recv_bytes())
            except EOFError:
                raise RuntimeError(f'process {rank} of {len(workers)} died') from None
            if failed:
                raise RuntimeError(f'process {rank} of {len(workers)} failed:\n{result}')
            results[rank] = result
        if time.monotonic() > deadline:
            missing = sorted(set(range(len(workers))) - set(results))
            raise TimeoutError(f'processes {missing} of {len(workers)} did not return within {timeout} s')
    return [results[rank] for rank in range(len(workers))]


def free_port() -> str:
    """Returns a port of this machine that nothing listens to."""
    with socket.socket() as found:
        found.bind(('127.0.0.1', 0))
        return str(found.getsockname()[1])


def start_process(function: Callable[..., Any], *args: Any, daemon: bool = False) -> BaseProcess:
    """Starts a process that calls ``function(*args)`` once, without a group; pass it to ``exit_codes``.

    The fork server imports torch and the models once; forking a process from it is fast. The process has the
    environment variables of the fork server, not those that a test has set.
    """
    context = get_context('forkserver')
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=function, args=args, daemon=daemon)
    process.start()
    return process


def exit_codes(*processes: BaseProcess, timeout: float = TIMEOUT) -> list[int | None]:
    """Waits for processes and returns their exit codes, None for one that did not end in time.

    Kills those that did not end: Python waits for the processes that it started before it ends, however long it takes.
    """
    deadline = time.monotonic() + timeout
    try:
        for process in processes:
            process.join(max(0.0, deadline - time.monotonic()))
        return [process.exitcode for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.join()


class _Worker:
    """A process and the connection to it."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        self.process = start_process(_serve, theirs, daemon=True)
        theirs.close()

    def send(self, task: tuple) -> None:
        self.connection.send_bytes(pickle.dumps(task))


_workers: list[_Worker] = []
atexit.register(stop)


def _serve(connection: Connection) -> None:
    import torch

    from tests.support.config_text import write_configs_fast

    torch.set_num_threads(1)
    write_configs_fast()
    while True:
        try:
            sys_path, module, name, args, group, timeout = pickle.loads(connection.recv_bytes())
        except EOFError:  # the tests are over
            return
        sys.path[:] = sys_path
        try:
            answer = (False, _call(getattr(import_module(module), name), args, group, timeout))
        except BaseException:
            answer = (True, traceback.format_exc())
        connection.send_bytes(pickle.dumps(answer))


def _call(function: Callable[..., Any], args: tuple, group: dict, timeout: float) -> Any:
    import torch
    import torch.distributed as dist

    torch.set_default_dtype(torch.float64)
    torch.manual_seed(0)
    try:
        dist.init_process_group('gloo', timeout=timedelta(seconds=timeout), **group)
    except RuntimeError as error:
        raise RuntimeError(_NO_GROUP) from error
    result = function(*args)
    # not in a finally block: closing the group after a failure would make the other processes fail too
    dist.destroy_process_group()
    return result

"""What every test gets: one thread, a seed, no window, the recorded numbers; GPU tests only where there is a GPU."""

from __future__ import annotations

import ctypes
import gc
import os
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault('OMP_NUM_THREADS', '1')  # also for the processes that tests start
os.environ.setdefault('MPLBACKEND', 'Agg')

import pytest
import torch
from mmengine.registry import DefaultScope

from mmssl.engine.freed_memory import keep_freed_memory
from tests.support.config_text import write_configs_fast

torch.set_num_threads(int(os.environ['OMP_NUM_THREADS']))
gc.set_threshold(20_000, 20, 20)  # modules and tests are many objects, and few are garbage

write_configs_fast()
KEEPS_MEMORY = keep_freed_memory()  # for the next test
MOST_KEPT = 4 * 2**30  # bytes at the end of a file, on a machine that has more for each worker


def pytest_collection_finish() -> None:
    """Takes what was imported out of garbage collection: one pass over all modules takes a second."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Gives it back, because libraries report what is left when the process ends."""
    gc.unfreeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what is marked ``gpu`` on a machine without one."""
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker('gpu'):
                item.add_marker(pytest.mark.skip(reason='needs a CUDA device'))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _own_scope() -> Iterator[None]:
    """Takes back the default scope that a test or its runner has set, so that no other test sees it."""
    before = DefaultScope._instance_dict.copy()
    yield
    DefaultScope._instance_dict = before


@pytest.fixture(autouse=True, scope='module')
def _no_scope_left() -> Iterator[None]:
    """Takes back, after the last test of a file, the default scope that a fixture of several tests has set."""
    yield
    DefaultScope._instance_dict = OrderedDict()


@pytest.fixture(autouse=True, scope='module')
def _memory_given_back() -> Iterator[None]:
    """Gives the system the memory that was freed, once a worker holds much: new pages cost more than most tests."""
    yield
    if KEEPS_MEMORY and _resident() > min(MOST_KEPT, _share() // 2):
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)


def _share() -> int:
    """Bytes of memory that this machine has for each worker."""
    memory = os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
    return memory // int(os.environ.get('PYTEST_XDIST_WORKER_COUNT', '1'))


def _resident() -> int:
    """Bytes of memory that this process holds, as Linux tells."""
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


@pytest.fixture(scope='session')
def goldens_dir() -> Path:
    """Directory of the numbers recorded from official implementations; ``MMSSL_GOLDENS`` names another one."""
    return Path(os.environ.get('MMSSL_GOLDENS') or Path(__file__).parent / 'parity' / 'goldens')

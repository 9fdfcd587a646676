from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from torch.utils.data import DataLoader

from mmssl.datasets.workers import shield_workers
from tests.support.tiny_run import build_runner, tiny_config


def _term(process: int) -> None:
    """Sends SIGTERM from a third process, as torchrun and Slurm do."""
    subprocess.run(['kill', '-TERM', str(process)], check=True)


@pytest.mark.parametrize('num_workers', [1, 2])
def test_a_worker_outlives_a_signal_to_the_whole_group_and_ends_with_its_parent(num_workers: int) -> None:
    batches = iter(shield_workers(DataLoader(range(64), num_workers=num_workers)))
    for worker in batches._workers:  # which have hardly begun
        _term(worker.pid)
    next(batches)
    for worker in batches._workers:
        _term(worker.pid)
    assert len(list(batches)) == 63 and all(worker.exitcode == 0 for worker in batches._workers)
    batches = iter(shield_workers(DataLoader(range(64), num_workers=num_workers)))
    next(batches)
    (worker, *_) = batches._workers
    os.kill(worker.pid, signal.SIGTERM)
    worker.join(timeout=20)
    assert worker.exitcode == 0


def test_every_worker_of_a_run_starts_so(tmp_path: Path) -> None:
    cfg = tiny_config(tmp_path)
    cfg['train_dataloader'].update(num_workers=1)
    runner = build_runner(cfg)
    batches = iter(runner.train_dataloader)
    next(batches)
    (worker,) = batches._workers
    _term(worker.pid)
    time.sleep(0.2)
    assert len(list(batches)) == 5

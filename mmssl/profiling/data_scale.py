"""Measures start-up time and memory of datasets with many images: real small records in tar shards or in an LMDB."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from torch.utils.data import DataLoader

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.datasets.lmdb_images import LmdbImages
from mmssl.datasets.make_index import write_index
from mmssl.datasets.tar_shards import TarShards

SHARD = 10_000
_BLOCK = 512
_DISTINCT = 4096  # images that are encoded; records repeat them under names of their own
_VIEW = dict(views=[dict(type='AugmentedView', size=8)])
_MIB = 2**20


def small_images(number: int) -> list[bytes]:
    """Returns PNG files of noise, 10x10 pixels, about 370 bytes each."""
    rng = np.random.default_rng(0)
    return [cv2.imencode('.png', rng.integers(0, 256, (10, 10, 3), np.uint8))[1].tobytes() for _ in range(number)]


def write_tar_shards(folder: Path, images: int, links: int = 1) -> None:
    """Writes tar shards of 10,000 images each.

    Args:
        folder: Folder of the shards; it is created.
        images: Number of images in all shards.
        links: Number of names (hard links) of each shard, so that many images need little of the disk.
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = small_images(_DISTINCT)
    shards = -(-images // links // SHARD)
    for shard in range(shards):
        file = folder / f'{shard:06d}.tar'
        with file.open('wb') as tar:
            for number in range(shard * SHARD, min((shard + 1) * SHARD, images // links)):
                tar.write(_tar_member(f'{number:09d}.png', records[number % _DISTINCT]))
            tar.write(bytes(2 * _BLOCK))
        for link in range(1, links):
            os.link(file, folder / f'{link * shards + shard:06d}.tar')


def _tar_member(name: str, data: bytes) -> bytes:
    """Returns header and content of a file in a tar file; ``tarfile`` takes ten times as long."""
    fields = b'%b%b%011o\0%011o\0' % (name.encode().ljust(100, b'\0'), b'0000644\0' + b'0000000\0' * 2, len(data), 0)
    rest = b'0' + bytes(100) + b'ustar\x0000' + bytes(247)
    checksum = sum(fields) + 8 * ord(' ') + sum(rest)
    return fields + b'%06o\0 ' % checksum + rest + data + bytes(-len(data) % _BLOCK)


def write_lmdb(folder: Path, images: int) -> None:
    """Writes an LMDB of small images in a thousand classes."""
    import lmdb

    records, share = small_images(_DISTINCT), -(-images // 1000)
    with lmdb.open(str(folder), map_size=2**40, sync=False) as environment:
        for start in range(0, images, _PER_TRANSACTION):
            with environment.begin(write=True) as transaction:
                for number in range(start, min(start + _PER_TRANSACTION, images)):
                    name = f'c{number // share:03d}/{number:09d}.png'.encode()
                    transaction.put(name, records[number % _DISTINCT], append=True)


_PER_TRANSACTION = 100_000


def measure_index(data_root: str, jobs: int) -> dict[str, float]:
    """Writes an index; returns its seconds (also of all processors), its size and the memory of this process in MiB."""
    before = memory_of(os.getpid())['anonymous']
    grown = [0]
    start, used = time.perf_counter(), sum(os.times()[:4])
    index = write_index(
        data_root, jobs=jobs, progress=lambda text: grown.append(memory_of(os.getpid())['anonymous'] - before)
    )
    seconds, used = time.perf_counter() - start, sum(os.times()[:4]) - used
    size = sum(file.stat().st_size for file in Path(str(index.folder)).iterdir())
    return dict(seconds=seconds, processor_seconds=used, size_mib=size / _MIB, memory_mib=max(grown) / _MIB)


def measure_dataset(
    kind: str, data_root: str, window: int | None, workers: int, batches: int, batch_size: int = 256
) -> dict[str, Any]:
    """Opens a dataset, with its index if it has one, and reads batches in workers.

    Args:
        kind: ``'tar'`` or ``'lmdb'``.
        data_root: Folder of the images.
        window: Argument of ``EpochSampler``.
        workers: Number of workers.
        batches: Number of batches.
        batch_size: Images in a batch.

    Returns:
        Seconds to open the dataset and from then to the first batch; images per second; MiB that the process got for
        the dataset and for the order of an epoch, and that every worker has for itself (anonymous memory, which is not
        shared with files; in a worker only what it wrote).
    """
    before = memory_of(os.getpid())['anonymous']
    start = time.perf_counter()
    dataset: ImageDataset = dict(tar=TarShards, lmdb=LmdbImages)[kind](data_root, **_VIEW)
    opened = time.perf_counter()
    kept = memory_of(os.getpid())['anonymous'] - before
    sampler = EpochSampler(dataset, seed=0, window=window)
    loader = DataLoader(
        dataset, batch_size, sampler=sampler, num_workers=workers, collate_fn=collate_views, persistent_workers=True
    )
    iterator = iter(loader)
    next(iterator)
    first = time.perf_counter()
    for _ in range(batches - 1):
        next(iterator)
    last = time.perf_counter()
    in_workers = [memory_of(worker.pid) for worker in _workers(iterator)]
    return dict(
        images=len(dataset),
        open_seconds=opened - start,
        first_batch_seconds=first - opened,
        images_per_second=(batches - 1) * batch_size / (last - first),
        dataset_mib=kept / _MIB,
        order_mib=(memory_of(os.getpid())['anonymous'] - before - kept) / _MIB,
        worker_mib=max(memory['private'] for memory in in_workers) / _MIB,
    )


def _workers(iterator: Any) -> Iterator[Any]:
    yield from iterator._workers


def memory_of(process: int) -> dict[str, int]:
    """Returns the anonymous memory of a process, and the memory that it alone has written, in bytes (Linux)."""
    lines = Path(f'/proc/{process}/smaps_rollup').read_text().splitlines()[1:]
    figures = {name.rstrip(':'): 1024 * int(value) for name, value, *_ in map(str.split, lines)}
    return dict(anonymous=figures['Anonymous'], private=figures['Private_Dirty'])

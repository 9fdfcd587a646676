"""Lists the images of tar shards and of an LMDB, in several processes, and writes the index of ``mmssl index``."""

from __future__ import annotations

import glob
import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

from mmssl.datasets.lmdb_keys import is_lmdb, key_ranges, list_keys, look_at_lmdb
from mmssl.datasets.packed_index import (
    INDEX_FOLDER,
    IndexWriter,
    PackedIndex,
    Part,
    make_part,
    read_label_array,
    split_pattern,
)
from mmssl.datasets.storage import LocalFiles, RemoteFiles, StoredFile, open_storage
from mmssl.datasets.tar_members import find_images_in_tar
from mmssl.utils.errors import UserError

_AHEAD = 4  # tasks per process that wait, or are done and wait for those before them
_Task = TypeVar('_Task')
_Result = TypeVar('_Result')


def write_index(
    data_root: str,
    out: str | None = None,
    labels: str | None = None,
    jobs: int | None = None,
    progress: Callable[[str], Any] = lambda text: None,
) -> PackedIndex:
    """Writes the index of tar shards or of an LMDB.

    Memory does not grow with the number of images. An interrupted call leaves an index that was there before unchanged.

    Args:
        data_root: Argument ``data_root`` of ``TarShards`` or ``LmdbImages``.
        out: Folder of the index; None means the place where the dataset looks for it.
        labels: ``.npy`` with one class number per image (-1 for none) in the order of the index: shards by name, images
            as in the shard; or keys by name. None means the labels in the data.
        jobs: Number of processes; None means one per core.
        progress: Function that gets a text after each shard.

    Returns:
        The index.

    Raises:
        FileNotFoundError: There are no shards.
        UserError: A shard cannot be read, the labels do not fit, or the folder cannot be written.
    """
    data_root, jobs = os.path.expanduser(data_root), max(1, (os.cpu_count() or 1) if jobs is None else jobs)
    if labels is not None:
        read_label_array(labels)  # before the long part
    kind, root, place, parts = _plan(data_root, jobs)
    if out is None and '://' in root:
        raise UserError(f'{data_root} is not a local folder: set --out to a folder for the index')
    folder = os.path.expanduser(out or place)
    try:
        writer = IndexWriter(folder, kind, root)
    except OSError as error:
        raise UserError(f'{folder} cannot be written ({error.strerror}): set --out to another folder') from error
    try:
        for file, part in parts:
            writer.add(file, part)
            progress(f'{writer.images} images in {len(writer.shards)} shards')
        writer.close(labels)
    finally:
        writer.discard()
    return PackedIndex.read(str(writer.folder), kind)


def _plan(data_root: str, jobs: int) -> tuple[str, str, str, Iterator[tuple[StoredFile, Part]]]:
    """Returns the kind of the data, the root of the names of shards, the index's usual folder, and its parts."""
    if is_lmdb(data_root):
        return 'lmdb', data_root, lmdb_index(data_root), lmdb_parts(data_root, jobs)
    storage = open_storage(data_root)
    files, root, _ = find_shards(storage, data_root)
    return 'tar', root, f'{root}/{INDEX_FOLDER}', tar_parts(storage, files, jobs)


def find_shards(storage: LocalFiles | RemoteFiles, data_root: str) -> tuple[list[StoredFile], str, str]:
    """Returns the tar files of a folder or pattern, the folder that holds all of them, and the pattern relative to it.

    Raises:
        FileNotFoundError: There are none.
    """
    folder = data_root.rstrip('/') if storage.is_folder(data_root) else None
    whole = data_root if folder is None else f'{folder}/*.tar'
    files = storage.find(whole if folder is None else f'{glob.escape(folder)}/*.tar')
    if not files:
        raise FileNotFoundError(f'{whole} matches no file; set data_root to a folder of .tar files or a pattern')
    if folder is not None:
        return files, storage.full_path(whole).removesuffix('/*.tar'), '*.tar'
    return files, *split_pattern(storage.full_path(whole))


def tar_parts(
    storage: LocalFiles | RemoteFiles, files: Iterable[StoredFile], jobs: int = 1
) -> Iterator[tuple[StoredFile, Part]]:
    """Yields every shard with its images."""
    files = list(files)
    yield from zip(files, _in_order(partial(_tar_part, storage), files, jobs))


def lmdb_parts(path: str, jobs: int = 1) -> Iterator[tuple[StoredFile, Part]]:
    """Yields the images of a database, a range of keys after the other."""
    database, ranges = look_at_lmdb(path), key_ranges(path, jobs)
    for parts in _in_order(partial(list_keys, path), ranges, jobs):
        for part in parts:
            yield database, part


def lmdb_index(data_root: str) -> str:
    """Returns the folder in which an LMDB's index is looked for."""
    return os.path.join(data_root, INDEX_FOLDER) if os.path.isdir(data_root) else f'{data_root}.{INDEX_FOLDER}'


def _tar_part(storage: LocalFiles | RemoteFiles, file: StoredFile) -> Part:
    with storage.open(file.path) as content:
        return make_part(find_images_in_tar(content, file.path))


def _in_order(function: Callable[[_Task], _Result], tasks: list[_Task], jobs: int) -> Iterator[_Result]:
    """Yields the results of all tasks in their order, a bounded number of them ahead."""
    if min(jobs, len(tasks)) < 2:
        yield from map(function, tasks)
        return
    methods = multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context('fork' if 'fork' in methods else None)  # a new interpreter imports torch
    waiting: deque[Future[_Result]] = deque()
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), context)
    try:
        for task in tasks:
            waiting.append(pool.submit(function, task))
            if len(waiting) > _AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool as error:
        raise UserError('a process of the index ended by itself, as when memory is full: use fewer --jobs') from error
    except ValueError as error:
        raise UserError(str(error)) from error  # raised in another process, it looks like an error of the pool
    finally:
        pool.shutdown(cancel_futures=True)

"""Opens LMDB databases and lists the images in them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mmssl.datasets.image_files import is_image_name
from mmssl.datasets.packed_index import Part, make_part
from mmssl.datasets.storage import StoredFile

_BOOKKEEPING = frozenset({'num-samples', 'num_samples', 'length', 'len', 'keys', 'meta', 'metadata', 'classes'})
_PART = 100_000  # images that are listed at once
_DIGITS = 8  # bytes of a key by which the keys are divided

_OPEN: dict[str, tuple[int, Any]] = {}  # path -> id of the process that opened it, and the open database

KeyRange = tuple[bytes | None, bytes | None, bool]


def is_lmdb(path: str) -> bool:
    """Returns True for the folder or the file of a database."""
    return os.path.isfile(os.path.join(path, 'data.mdb')) or path.endswith(('.mdb', '.lmdb')) and os.path.exists(path)


def open_lmdb(path: str) -> Any:
    """Returns a database that is open to be read, the same one for all datasets of a process, as lmdb demands.

    Raises:
        FileNotFoundError: It does not exist.
        ImportError: ``lmdb`` is not installed.
        ValueError: It is damaged.
    """
    try:
        import lmdb
    except ImportError as error:
        raise ImportError('LmdbImages needs the package lmdb: pip install lmdb') from error
    place = os.path.realpath(path)  # lmdb opens a database once, under whichever name
    process, environment = _OPEN.get(place, (0, None))
    if process == os.getpid():
        return environment
    if environment is not None:
        environment.close()  # a handle that was inherited through a fork cannot be used
    if not os.path.exists(path):
        raise FileNotFoundError(f'{path} does not exist; set data_root to an LMDB database on a local disk')
    try:
        environment = lmdb.open(path, subdir=os.path.isdir(path), readonly=True, lock=False, readahead=False)
    except lmdb.Error as error:
        raise ValueError(f'{path} is not an LMDB database, or is damaged ({error})') from error
    _OPEN[place] = os.getpid(), environment
    return environment


def look_at_lmdb(path: str) -> StoredFile:
    """Returns the number of entries, and what a change of the database changes, or a new one in its place."""
    environment = open_lmdb(path)
    file = os.path.join(path, 'data.mdb') if os.path.isdir(path) else path
    version = f'{environment.info()["last_txnid"]}, {os.stat(file).st_mtime_ns}'
    return StoredFile(path, environment.stat()['entries'], version)


def key_ranges(path: str, jobs: int) -> list[KeyRange]:
    """Divides the keys of a database into ranges of about the same size, if the keys are evenly spread.

    Args:
        path: Database.
        jobs: Number of processes that will list the ranges.

    Returns:
        First key, key after the last one (None: no bound), and whether only names with the suffix of an image count.
    """
    with open_lmdb(path).begin() as transaction:
        cursor = transaction.cursor()
        has_endings = any(map(is_image_name, _names(cursor, None)))
        if jobs == 1 or not cursor.first():
            return [(None, None, has_endings)]
        first = bytes(cursor.key())
        cursor.last()
        last = bytes(cursor.key())
    common: Any = os.path.commonprefix([first, last])
    low, high = (int.from_bytes(key[len(common) :].ljust(_DIGITS, b'\0')[:_DIGITS], 'big') for key in (first, last))
    number = 4 * jobs
    bounds: list[Any] = [
        common + (low + (high - low) * place // number).to_bytes(_DIGITS, 'big') for place in range(1, number)
    ]
    return [(start, stop, has_endings) for start, stop in zip([None, *bounds], [*bounds, None])]


def list_keys(path: str, keys: KeyRange) -> list[Part]:
    """Returns the images of a range of keys, in parts; the class of ``<class>/<name>`` is its folder."""
    start, stop, has_endings = keys
    parts, images, classes = [], list[tuple[str, int, int, int]](), dict[str, int]()
    with open_lmdb(path).begin() as transaction:
        cursor = transaction.cursor()
        if start is not None and not cursor.set_range(start):
            return []
        for name in _names(cursor, stop):
            if has_endings and not is_image_name(name):
                continue
            folder, separator, _ = name.partition('/')
            images.append((name, 0, 0, classes.setdefault(folder, len(classes)) if separator else -1))
            if len(images) == _PART:
                parts.append(make_part(images, classes, is_tar=False))
                images, classes = [], {}
    return [*parts, make_part(images, classes, is_tar=False)]


def _names(cursor: Any, stop: bytes | None) -> Iterator[str]:
    """Yields the keys from the place of the cursor to ``stop`` that may be names of images."""
    for key in cursor.iternext(keys=True, values=False):
        if stop is not None and key >= stop:
            return
        name = key.decode('utf-8', 'surrogateescape')
        if not name.startswith('__') and name not in _BOOKKEEPING:
            yield name

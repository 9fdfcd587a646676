"""Finds and reads files on disks and, through fsspec, in remote storage."""

from __future__ import annotations

import glob
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from mmssl.utils.errors import UserError

_COPY = re.compile(r'[0-9a-f]{16}-.+(?<!\.part)')  # name of a complete copy in a cache
_TIMES = ('ETag', 'etag', 'md5Hash', 'mtime', 'LastModified', 'last_modified', 'updated', 'created')


class StoredFile(NamedTuple):
    """A file, and what tells whether it was changed."""

    path: str
    """Path or address."""
    size: int
    """Number of bytes; for a database the number of entries."""
    version: str
    """Time of the last change, or whatever else the storage changes with the content."""


class LocalFiles:
    """Files of this machine."""

    def find(self, pattern: str) -> list[StoredFile]:
        """Returns the files whose paths match ``pattern`` (see ``glob``), sorted by path."""
        return [self.look(path) for path in sorted(glob.glob(pattern)) if os.path.isfile(path)]

    def look(self, path: str) -> StoredFile:
        """Returns size and version of a file."""
        status = os.stat(path)
        return StoredFile(path, status.st_size, str(status.st_mtime_ns))

    def is_folder(self, path: str) -> bool:
        return os.path.isdir(path)

    def full_path(self, path: str) -> str:
        return path

    def open(self, path: str) -> BinaryIO:
        return open(path, 'rb')

    def read(self, file: StoredFile, offset: int, size: int) -> bytes:
        """Returns ``size`` bytes of a file from ``offset``; fewer if the file ends there."""
        with open(file.path, 'rb') as content:
            content.seek(offset)
            return content.read(size)


class RemoteFiles:
    """Files of a storage that fsspec reaches, such as ``s3://``, ``gs://``, ``https://`` or ``memory://``.

    Every process opens its own connection at first use, because connections do not survive a fork.

    Args:
        url: Address of any file or folder of the storage.
        cache: Files that are kept on a local disk; None reads the bytes of each image by a request of its own.

    Raises:
        ImportError: fsspec, or the package that it needs for this kind of address, is not installed.
        UserError: fsspec does not know this kind of address.
    """

    def __init__(self, url: str, cache: FileCache | None = None) -> None:
        self.url = url
        self.cache = cache
        self._connection: tuple[int, Any] | None = None  # id of the process that opened the connection
        self._connect()

    def _connect(self) -> Any:
        if self._connection is None or self._connection[0] != os.getpid():
            try:
                from fsspec.core import url_to_fs

                self._connection = os.getpid(), url_to_fs(self.url)[0]
            except ImportError as error:
                scheme = self.url.partition('://')[0]
                raise ImportError(
                    f'{self.url} needs fsspec and its package for {scheme}:// ({error}): pip install fsspec, and '
                    's3fs for s3://, gcsfs for gs://, aiohttp for https://'
                ) from error
            except ValueError as error:
                raise UserError(f'{self.url}: {error}; fsspec lists its protocols in its documentation') from error
        return self._connection[1]

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _connection=None)

    def find(self, pattern: str) -> list[StoredFile]:
        """Returns the files whose addresses match ``pattern``, sorted; one listing gives sizes and versions.

        Raises:
            UserError: The storage does not answer, or refuses.
        """
        storage = self._connect()
        with self._listing():
            found = storage.glob(pattern, detail=True)
        files = {storage.unstrip_protocol(path): info for path, info in found.items() if info['type'] == 'file'}
        return [StoredFile(path, int(info['size']), _version(info)) for path, info in sorted(files.items())]

    def is_folder(self, path: str) -> bool:
        with self._listing():
            return self._connect().isdir(path)

    @contextmanager
    def _listing(self) -> Iterator[None]:
        try:
            yield
        except (UserError, ImportError):
            raise
        except Exception as error:  # every storage has errors of its own
            raise UserError(
                f'{self.url} cannot be listed ({type(error).__name__}: {error}): check the address, the credentials '
                'of this machine and its network'
            ) from error

    def full_path(self, path: str) -> str:
        """Returns an address as ``find`` spells it."""
        storage = self._connect()
        return storage.unstrip_protocol(storage._strip_protocol(path))

    def open(self, path: str) -> BinaryIO:
        return self._connect().open(path, 'rb')

    def read(self, file: StoredFile, offset: int, size: int) -> bytes:
        """Returns ``size`` bytes of a file from ``offset``; fewer if the file ends there.

        Raises:
            OSError: The storage does not answer.
        """
        try:
            if self.cache is None:
                return self._connect().cat_file(file.path, start=offset, end=offset + size)
            return self.cache.read(file, offset, size, lambda path: self._connect().get_file(file.path, path))
        except OSError:
            raise
        except Exception as error:  # every storage has errors of its own
            raise OSError(f'{type(error).__name__}: {error}') from error


class FileCache:
    """Copies of remote files on a local disk, for all processes of a machine.

    A file is copied as a whole when its first byte is read. One process copies and the others wait, and a copy gets its
    name when it is complete, so an interrupted one is made again.

    Args:
        folder: Folder of the copies; it is created. Other files in it are left alone.
        max_gib: Largest size of all copies in GiB; the copies that were not read for the longest time are removed. A
            file that is larger alone is copied all the same. None keeps all.

    Raises:
        UserError: The folder cannot be written, or ``max_gib`` is not positive and finite.
    """

    def __init__(self, folder: str, max_gib: float | None = None) -> None:
        if max_gib is not None and not 0 < max_gib < float('inf'):
            raise UserError(f'cache.max_gib must be a positive number, or None for no limit, got {max_gib}')
        self.folder = Path(folder).expanduser()
        self.max_bytes = None if max_gib is None else int(max_gib * 2**30)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f'{folder} cannot be written ({error.strerror}): set cache.folder to another one'
            ) from error
        if not os.access(self.folder, os.W_OK):
            raise UserError(f'{folder} cannot be written: set cache.folder to another one')

    def read(self, file: StoredFile, offset: int, size: int, fetch: Callable[[str], Any]) -> bytes:
        """Returns ``size`` bytes of a file from ``offset``, and copies the file first if there is no copy.

        Args:
            file: File; another version of it is another copy.
            offset: First byte.
            size: Number of bytes.
            fetch: Function that writes the file to a local path.
        """
        name = f'{hashlib.sha256("|".join(map(str, file)).encode()).hexdigest()[:16]}-{os.path.basename(file.path)}'
        copy = self.folder / name
        while True:
            try:
                with copy.open('rb') as content:
                    if self.max_bytes is not None:
                        os.utime(copy)  # read just now, so removed last
                    content.seek(offset)
                    return content.read(size)
            except FileNotFoundError:  # never copied, or removed by another process a moment ago
                self._copy(file, copy, fetch)

    def _copy(self, file: StoredFile, copy: Path, fetch: Callable[[str], Any]) -> None:
        import fcntl

        part = copy.with_name(f'{copy.name}.part')
        with part.open('ab') as lock:  # this file is the lock, too: it vanishes with the rename, and waiters look again
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not part.exists() or os.fstat(lock.fileno()).st_ino != part.stat().st_ino:
                return  # another process has made the copy while this one waited
            if copy.exists():
                part.unlink()
                return
            self._make_room(file.size)
            fetch(str(part))
            if part.stat().st_size != file.size:
                raise OSError(f'{file.path}: {part.stat().st_size} of {file.size} bytes arrived')
            part.replace(copy)

    def _make_room(self, size: int) -> None:
        if self.max_bytes is None:
            return
        copies = []
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process makes room, too
                copies += [(path.stat(), path)] if _COPY.fullmatch(path.name) else []
        total = size + sum(status.st_size for status, _ in copies)
        for status, path in sorted(copies, key=lambda item: item[0].st_mtime):
            if total <= self.max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= status.st_size


def open_storage(path: str, cache: dict | None = None) -> LocalFiles | RemoteFiles:
    """Returns the storage of a path or an address with ``://``.

    Args:
        path: Path or address.
        cache: Arguments of ``FileCache``, for addresses alone.

    Raises:
        UserError: There is a cache for local files, or its arguments are wrong.
    """
    if '://' not in path:
        if cache is not None:
            raise UserError(f'{path} is on a disk of this machine: remove cache, which is for addresses such as s3://')
        return LocalFiles()
    try:
        return RemoteFiles(path, None if cache is None else FileCache(**cache))
    except TypeError as error:
        raise UserError(f"cache must be dict(folder='/local/folder', max_gib=None or a number), got {cache}") from error


def _version(info: dict) -> str:
    return next((str(info[key]) for key in _TIMES if info.get(key) is not None), '')

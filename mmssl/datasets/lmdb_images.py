"""A dataset of image files in an LMDB database."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.image_files import is_image_name
from mmssl.datasets.shared_strings import SharedStrings
from mmssl.registry import DATASETS

_BOOKKEEPING = frozenset({'num-samples', 'num_samples', 'length', 'len', 'keys', 'meta', 'metadata', 'classes'})


@DATASETS.register_module()
class LmdbImages(ImageDataset):
    """Images in an LMDB database whose keys are names and whose values are image files.

    A key ``<class>/<name>`` gives the class of an image; classes are numbered in the order of their names. A key
    without a slash has no label. If any key has the suffix of an image file (``.jpg``), only keys with such a suffix
    are images. Otherwise all keys are images except those that begin with two underscores and common names of
    metadata such as ``num-samples``. Needs ``pip install lmdb``.

    Args:
        data_root: Folder or file of the database.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: The database does not exist or is empty.
        ImportError: ``lmdb`` is not installed.
    """

    def __init__(self, data_root: str, **kwargs: Any) -> None:
        self.data_root = os.path.expanduser(data_root)
        self._environment: tuple[int, Any] | None = None  # id of the process that opened the database, and its handle
        if not os.path.exists(self.data_root):
            raise FileNotFoundError(f'{data_root} does not exist; set data_root to an LMDB database')
        classes: dict[str, int] = {}
        labels = array('i')

        def names():
            has_endings = any(map(is_image_name, self._keys()))
            for name in self._keys():
                if is_image_name(name) or not has_endings:
                    folder, separator, _ = name.partition('/')
                    labels.append(classes.setdefault(folder, len(classes)) if separator else -1)
                    yield name

        self.names = SharedStrings(names())
        if not labels:
            raise FileNotFoundError(f'{data_root} holds no images')
        self.labels = torch.frombuffer(labels, dtype=torch.int32)
        self.classes = tuple(classes) or None
        self._close()
        super().__init__(**kwargs)

    def _open(self):
        try:
            import lmdb
        except ImportError as error:
            raise ImportError('LmdbImages needs the package lmdb: pip install lmdb') from error
        if self._environment is not None and self._environment[0] != os.getpid():
            self._close()  # a handle that was inherited through a fork cannot be used
        if self._environment is None:
            is_folder = os.path.isdir(self.data_root)
            environment = lmdb.open(self.data_root, subdir=is_folder, readonly=True, lock=False, readahead=False)
            self._environment = os.getpid(), environment
        return self._environment[1]

    def _keys(self) -> Iterator[str]:
        with self._open().begin() as transaction:
            for key in transaction.cursor().iternext(keys=True, values=False):
                name = key.decode('utf-8', 'surrogateescape')
                if not name.startswith('__') and name not in _BOOKKEEPING:
                    yield name

    def _close(self) -> None:
        if self._environment is not None:
            self._environment[1].close()
            self._environment = None

    def __getstate__(self) -> dict:
        return dict(self.__dict__, _environment=None)

    def describe(self) -> str:
        return f'LmdbImages({self.data_root})'

    def _num_images(self) -> int:
        return len(self.names)

    def _label(self, row: int) -> int:
        return int(self.labels[row])

    def _name(self, row: int) -> str:
        return f'{self.data_root}:{self.names[row]}'

    def _load(self, row: int) -> np.ndarray:
        with self._open().begin() as transaction:
            data = transaction.get(self.names[row].encode('utf-8', 'surrogateescape'))
        if data is None:
            raise UnreadableImageError(f'{self._name(row)} is no longer in the database')
        return self._decode(data)

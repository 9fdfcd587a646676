"""A dataset of image files in an LMDB database."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.lmdb_keys import look_at_lmdb, open_lmdb
from mmssl.datasets.make_index import lmdb_index, lmdb_parts
from mmssl.datasets.packed_index import PackedIndex
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError


@DATASETS.register_module()
class LmdbImages(ImageDataset):
    """Images in an LMDB database whose keys are names and whose values are image files.

    A key ``<class>/<name>`` gives the class of an image; classes are numbered in the order of their first keys. A key
    without a slash has no label, and either every image has one or none. If any key has the suffix of an image file
    (``.jpg``), only keys with such a suffix are images. Otherwise all keys are images except those that begin with two
    underscores and common names of metadata such as ``num-samples``. Needs ``pip install lmdb``.

    The keys are listed at every start, unless ``mmssl index DATA_ROOT`` wrote the list into files that all workers map.

    Args:
        data_root: Folder or file of the database, on a local disk.
        index: Folder of the index. None takes ``mmssl_index`` in the folder of the database, or
            ``<file>.mmssl_index``, if it exists.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: The database does not exist or is empty.
        ImportError: ``lmdb`` is not installed.
        ValueError: The database is damaged, or newer than the index, or only some images have a label.
    """

    def __init__(self, data_root: str, index: str | None = None, **kwargs: Any) -> None:
        self.data_root = os.path.expanduser(data_root).rstrip('/')
        database = look_at_lmdb(self.data_root)
        if index is None and os.path.isdir(lmdb_index(self.data_root)):
            index = lmdb_index(self.data_root)
        if index is None:
            self.index = PackedIndex.of_parts(lmdb_parts(self.data_root), self.data_root)
        else:
            self.index = PackedIndex.read(os.path.expanduser(index), 'lmdb')
            if [(shard.size, shard.version) for shard in self.index.shards] != [(database.size, database.version)]:
                raise UserError(
                    f'{data_root} was changed after its index {index} was made; make the index again: mmssl index '
                    f'{data_root}'
                )
        if not len(self.index):
            raise FileNotFoundError(f'{data_root} holds no images')
        if sum(shard.labelled for shard in self.index.shards) not in (0, len(self.index)):
            raise UserError(
                f'in {data_root} some keys have the form <class>/<name> and some have no class: give a class to all or '
                'to none'
            )
        self.classes = self.index.classes
        super().__init__(**kwargs)

    def describe(self) -> str:
        return f'LmdbImages({self.data_root})'

    def _num_images(self) -> int:
        return len(self.index)

    def _label(self, row: int) -> int:
        return int(self.index.arrays['labels'][row])

    def _name(self, row: int) -> str:
        return f'{self.data_root}:{self.index.names[row]}'

    def _read_file(self, row: int) -> bytes:
        with open_lmdb(self.data_root).begin() as transaction:
            data = transaction.get(self.index.names[row].encode('utf-8', 'surrogateescape'))
        if data is None:
            raise UnreadableImageError(f'{self._name(row)} is no longer in the database')
        return data

    def _fingerprint(self) -> Iterator[bytes]:
        yield repr(look_at_lmdb(self.data_root)).encode()

"""A dataset of images in tar files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import accumulate
from typing import Any

import numpy as np
from mmengine.logging import print_log

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.make_index import find_shards, tar_parts
from mmssl.datasets.packed_index import INDEX_FOLDER, PackedIndex
from mmssl.datasets.storage import StoredFile, open_storage
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError

_MANY = 1_000_000  # images that take a minute to list


@DATASETS.register_module()
class TarShards(ImageDataset):
    """Images in uncompressed tar files in the layout of WebDataset: ``<key>.jpg``, with its label in ``<key>.cls``.

    Every image file is a sample, even if two files share a key (``1.jpg`` and ``1.png``, or ``a.0.png`` and
    ``a.1.png``). The key is only used to find the label.

    The images are listed once, and then read at their offsets, so order and resume are as exact as with single files.
    (WebDataset's stream with a shuffle buffer cannot resume exactly.) ``mmssl index DATA_ROOT`` writes the list into
    files that all workers map. Without them every start of a run reads the headers of all shards and keeps the list in
    memory.

    Args:
        data_root: Folder of the shards, or a pattern such as ``/data/train-*.tar``; or an address that fsspec reads,
            such as ``s3://bucket/train-*.tar``, which needs an index.
        index: Folder of the index. None takes ``mmssl_index`` in the folder of the shards, if it exists.
        cache: Local copies of shards at an address, such as ``dict(folder='/scratch', max_gib=500)``, see
            ``FileCache``. None reads every image from the address.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: There are no shards, or no images in them.
        ValueError: A shard is compressed, damaged, truncated, missing, or newer than the index; a label is not a number
            or too large; or only some images have a label.
    """

    def __init__(self, data_root: str, index: str | None = None, cache: dict | None = None, **kwargs: Any) -> None:
        self.data_root = os.path.expanduser(data_root)
        self.storage = open_storage(self.data_root, cache)
        self.files, self.root, pattern = find_shards(self.storage, self.data_root)
        self.index, chosen = self._find_index(index, pattern)
        shards = [self.index.shards[place] for place in chosen]
        starts = [0, *accumulate(shard.images for shard in self.index.shards)]
        self._first = np.array([starts[place] for place in chosen])  # place of each shard's first image in the index
        self._ends = np.cumsum([shard.images for shard in shards])
        if not self._ends[-1]:
            raise FileNotFoundError(f'the shards {self.data_root} hold no images')
        if sum(shard.labelled for shard in shards) not in (0, self._ends[-1]):
            raise ValueError(
                f'in {self.data_root} some images have a label (.cls) and some have none: label all or none'
            )
        super().__init__(**kwargs)

    def _find_index(self, folder: str | None, pattern: str) -> tuple[PackedIndex, list[int]]:
        """Returns the index and the positions of the shards that match the pattern."""
        beside, is_remote = f'{self.root}/{INDEX_FOLDER}', '://' in self.root
        if folder is None and not is_remote and os.path.isdir(beside):
            folder = beside
        if folder is None and is_remote:
            raise UserError(
                f'{self.data_root} needs an index on a local disk: mmssl index {self.data_root} --out FOLDER, then set '
                'index=FOLDER of the dataset'
            )
        if folder is None:
            index = PackedIndex.of_parts(tar_parts(self.storage, self.files), self.root)
            if len(index) > _MANY:
                print_log(f'{len(index)} images were listed; mmssl index {self.root} does it once', logger='current')
            return index, list(range(len(index.shards)))
        index = PackedIndex.read(os.path.expanduser(folder), 'tar')
        return index, index.select(self.files, self.root, pattern)

    def describe(self) -> str:
        return f'TarShards({self.data_root})'

    def _num_images(self) -> int:
        return int(self._ends[-1])

    def _place(self, row: int) -> tuple[StoredFile, int]:
        """Returns the shard of an image, and the place of the image in the index."""
        shard = int(np.searchsorted(self._ends, row, side='right'))
        return self.files[shard], int(self._first[shard]) + row - (int(self._ends[shard - 1]) if shard else 0)

    def _label(self, row: int) -> int:
        return int(self.index.arrays['labels'][self._place(row)[1]])

    def _name(self, row: int) -> str:
        shard, place = self._place(row)
        return f'{shard.path}:{self.index.names[place]}'

    def _read_file(self, row: int) -> bytes:
        shard, place = self._place(row)
        size = int(self.index.arrays['lengths'][place])
        data = self.storage.read(shard, int(self.index.arrays['offsets'][place]), size)
        if len(data) < size:
            raise UnreadableImageError(f'{shard.path} ends within it: the shard was truncated while the run used it')
        return data

    def _fingerprint(self) -> Iterator[bytes]:
        yield repr(self.files).encode()

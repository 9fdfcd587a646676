"""A dataset of images in tar files."""

from __future__ import annotations

import glob
import os
import tarfile
from array import array
from typing import Any

import numpy as np
import torch

from mmssl.datasets.base import LARGEST_LABEL, ImageDataset
from mmssl.datasets.image_files import is_image_name
from mmssl.datasets.shared_strings import SharedStrings
from mmssl.registry import DATASETS


@DATASETS.register_module()
class TarShards(ImageDataset):
    """Images in uncompressed tar files in the layout of WebDataset: ``<key>.jpg``, with its label in ``<key>.cls``.

    Every image file is a sample, even if two files share a key (``1.jpg`` and ``1.png``, or ``a.0.png`` and
    ``a.1.png``). The key is only used to find the label.

    The shards are indexed once with Python's ``tarfile``. Then images are read at their offsets, so order and resume
    are as exact as with single files. (WebDataset's stream with a shuffle buffer cannot resume exactly.)

    Args:
        data_root: Folder of the shards, or a pattern such as ``/data/train-*.tar``.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: There are no shards, or no images in them.
        ValueError: A shard is compressed or damaged, a label is not a number or too large, or only some images have a
            label.
    """

    def __init__(self, data_root: str, **kwargs: Any) -> None:
        self.data_root = os.path.expanduser(data_root)
        pattern = os.path.join(self.data_root, '*.tar') if os.path.isdir(self.data_root) else self.data_root
        shards = sorted(glob.glob(pattern))
        if not shards:
            raise FileNotFoundError(f'{pattern} matches no file; set data_root to a folder of .tar files or a pattern')
        places, labels = array('q'), array('i')

        def names():
            for number, shard in enumerate(shards):
                for name, offset, size, label in _index(shard):
                    places.extend((number, offset, size))
                    labels.append(label)
                    yield name

        self.shards, self.names = SharedStrings(shards), SharedStrings(names())
        if not labels:
            raise FileNotFoundError(f'the shards {pattern} hold no images')
        if len({label >= 0 for label in set(labels)}) > 1:
            raise ValueError(f'in {pattern} some images have a label (.cls) and some have none: label all or none')
        self.places = torch.frombuffer(places, dtype=torch.int64).view(-1, 3)
        self.labels = torch.frombuffer(labels, dtype=torch.int32)
        super().__init__(**kwargs)

    def describe(self) -> str:
        return f'TarShards({self.data_root})'

    def _num_images(self) -> int:
        return len(self.names)

    def _label(self, row: int) -> int:
        return int(self.labels[row])

    def _name(self, row: int) -> str:
        return f'{self.shards[int(self.places[row, 0])]}:{self.names[row]}'

    def _load(self, row: int) -> np.ndarray:
        shard, offset, size = self.places[row].tolist()
        with open(self.shards[shard], 'rb') as file:
            file.seek(offset)
            return self._decode(file.read(size))


def _index(shard: str) -> list[tuple[str, int, int, int]]:
    """Returns (name, offset, size, label or -1) of every image of a shard."""
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(shard, 'r:') as tar:
            for member in tar:
                if member.isfile() and member.name.endswith('.cls'):
                    file = tar.extractfile(member)
                    assert file is not None, f'{member.name} is no file'
                    labels[member.name.removesuffix('.cls')] = _read_label(f'{shard}:{member.name}', file.read())
                elif member.isfile() and is_image_name(member.name):
                    images[member.name] = member.offset_data, member.size
    except tarfile.ReadError as error:
        raise ValueError(f'{shard} is not an uncompressed tar file ({error}); unpack .tar.gz to .tar first') from error
    return [(name, *place, _find_label(name, labels)) for name, place in images.items()]


def _find_label(name: str, labels: dict[str, int]) -> int:
    """Returns the label of the image ``name``, -1 if it has none.

    The key is the name without its last suffix, or else the name up to its first dot, as in WebDataset.
    """
    folder, base = os.path.split(name)
    keys = os.path.splitext(name)[0], os.path.join(folder, base.partition('.')[0])
    return next((labels[key] for key in keys if key in labels), -1)


def _read_label(name: str, content: bytes) -> int:
    try:
        label = int(content)
    except ValueError as error:
        raise ValueError(f'{name} holds {content[:40]!r}, which is not a class number') from error
    if abs(label) > LARGEST_LABEL:
        raise ValueError(f'{name} holds {label}; a class number is at most {LARGEST_LABEL}')
    return label

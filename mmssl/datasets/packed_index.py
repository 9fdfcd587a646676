"""The table of all images in tar shards or in an LMDB: in memory, or in files that all workers map."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.lib import format as npy

from mmssl.datasets.base import LARGEST_LABEL
from mmssl.datasets.shared_strings import SharedStrings
from mmssl.datasets.storage import StoredFile
from mmssl.utils.errors import UserError, some

INDEX_FOLDER = 'mmssl_index'
_FORMAT = 1
_ARRAYS = dict(characters='uint8', ends='int64', offsets='int64', lengths='uint32', labels='int32')


class Part(NamedTuple):
    """The images of one shard, in their order; ``offsets`` and ``lengths`` are empty for an LMDB."""

    characters: np.ndarray
    """Names in UTF-8, one after the other, uint8."""
    ends: np.ndarray
    """(N,) int64, end of each name in ``characters``."""
    offsets: np.ndarray
    """(N,) int64, first byte of each image in the shard."""
    lengths: np.ndarray
    """(N,) uint32, bytes of each image."""
    labels: np.ndarray
    """(N,) int32, -1 for images without a label."""
    classes: tuple[str, ...] = ()
    """Names of the classes that ``labels`` count, if they have names."""


def make_part(images: Sequence[tuple[str, int, int, int]], classes: Iterable[str] = (), is_tar: bool = True) -> Part:
    """Returns the part of images that are given as (name, offset, size, label)."""
    names = [name.encode('utf-8', 'surrogateescape') for name, *_ in images]
    numbers = np.array([row[1:] for row in images], np.int64).reshape(-1, 3)
    places = numbers if is_tar else numbers[:0]
    return Part(
        np.frombuffer(b''.join(names), np.uint8),
        np.cumsum([len(name) for name in names], dtype=np.int64),
        places[:, 0],
        places[:, 1].astype(np.uint32),
        numbers[:, 2].astype(np.int32),
        tuple(classes),
    )


class Shard(NamedTuple):
    """A shard as the index knows it."""

    name: str
    """Path relative to the root of all shards."""
    size: int
    version: str
    images: int
    labelled: int
    """Number of images with a label."""


class PackedIndex:
    """Names, places and labels of N images without a Python object per image.

    Args:
        shards: Shards in the order of the images.
        arrays: ``characters``, ``ends`` (N + 1,), ``offsets``, ``lengths`` and ``labels``, see ``Part``.
        classes: Names of the classes, if they have names.
        folder: Folder of the files that the arrays map, None if they are in memory.
    """

    def __init__(
        self, shards: list[Shard], arrays: dict[str, Any], classes: tuple[str, ...] | None, folder: str | None = None
    ) -> None:
        self.shards = shards
        self.arrays = arrays
        self.classes = classes
        self.folder = folder
        self.names = SharedStrings.of(arrays['characters'], arrays['ends'])

    def __len__(self) -> int:
        return len(self.arrays['labels'])

    def __getstate__(self) -> dict:
        """Leaves mapped arrays out, because pickling would copy them; a spawned worker maps the files again."""
        mapped = {} if self.folder is None else dict(arrays=None, names=None)
        return dict(self.__dict__, **mapped)

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        if self.folder is not None:
            self.arrays = _map(self.folder)
            self.names = SharedStrings.of(self.arrays['characters'], self.arrays['ends'])

    @classmethod
    def of_parts(cls, parts: Iterable[tuple[StoredFile, Part]], root: str) -> PackedIndex:
        """Returns an index in memory."""
        kept: list[Part] = []
        shards: list[Shard] = []
        classes: dict[str, int] = {}
        for file, part in parts:
            kept.append(_number_classes(part, classes))
            _count(shards, file, kept[-1], root)
        arrays = {name: np.concatenate([getattr(part, name) for part in kept] or [[]]) for name in _ARRAYS}
        lengths = [len(part.characters) for part in kept]
        starts = np.repeat(np.cumsum([0, *lengths])[:-1], [len(part.ends) for part in kept])
        arrays['ends'] = np.concatenate([[0], arrays['ends'] + starts])
        tensors = {
            name: torch.from_numpy(array.astype('int64' if dtype == 'uint32' else dtype))
            for (name, array), dtype in zip(arrays.items(), _ARRAYS.values())
        }  # torch moves tensors to spawned workers in shared memory
        return cls(shards, tensors, tuple(classes) or None)

    @classmethod
    def read(cls, folder: str, kind: str) -> PackedIndex:
        """Maps an index that ``write_index`` wrote.

        Args:
            folder: Folder of the index.
            kind: ``'tar'`` or ``'lmdb'``.

        Raises:
            UserError: There is no index, or it is damaged, or belongs to another kind of data.
        """
        remedy = 'make it with: mmssl index DATA_ROOT'
        file = Path(folder) / 'index.json'
        if not file.is_file():
            raise UserError(f'{folder} holds no index (index.json is missing); {remedy}')
        try:
            content = json.loads(file.read_text())
            shards, arrays = [Shard(*shard) for shard in content['shards']], _map(folder)
        except (KeyError, TypeError, ValueError, OSError) as error:
            raise UserError(f'the index {folder} is damaged ({type(error).__name__}: {error}); {remedy}') from error
        if content.get('format') != _FORMAT or content.get('kind') != kind:
            found = f'{content.get("kind")}, format {content.get("format")}'
            raise UserError(f'{folder} is an index of another kind ({found}, not {kind}, format {_FORMAT}); {remedy}')
        images, places = sum(shard.images for shard in shards), kind == 'tar'
        wanted = dict(ends=images + 1, labels=images, offsets=images * places, lengths=images * places)
        for name, number in wanted.items():
            if len(arrays[name]) != number:
                raise UserError(
                    f'the index {folder} is damaged: {name}.npy has {len(arrays[name])} rows, not {number}; {remedy}'
                )
        return cls(shards, arrays, tuple(content['classes']) or None, folder)

    def select(self, files: Sequence[StoredFile], root: str, pattern: str) -> list[int]:
        """Returns the positions of the shards that match a pattern, and compares them with the files that are there.

        Args:
            files: Files that match the pattern.
            root: Folder that the names of the shards are relative to.
            pattern: Pattern relative to ``root``.

        Raises:
            UserError: A shard is missing, was changed after the index was made, or is not in the index.
        """
        found = {relative(file.path, root): file for file in files}
        chosen = [place for place, shard in enumerate(self.shards) if _matches(shard.name, pattern)]
        remedy = f'make the index again: mmssl index {root}'
        for shard in (self.shards[place] for place in chosen):
            file = found.pop(shard.name, None)
            if file is None:
                raise UserError(f'{root}/{shard.name} is missing, and the index {self.folder} names it; {remedy}')
            if file.size < shard.size:
                raise UserError(
                    f'{file.path} has {file.size} bytes and had {shard.size} when its index was made: it is truncated; '
                    f'copy it again, or {remedy}'
                )
            if (file.size, file.version) != (shard.size, shard.version):
                raise UserError(f'{file.path} was changed after its index {self.folder} was made; {remedy}')
        if found:
            raise UserError(f'the index {self.folder} was made before {some(sorted(found), 3)} came; {remedy}')
        return chosen


class IndexWriter:
    """Writes an index part by part, so that memory does not grow with the number of images.

    Args:
        folder: Folder of the index. An index that is there is replaced when the new one is complete.
        kind: ``'tar'`` or ``'lmdb'``.
        root: Folder that the names of the shards are relative to.

    Raises:
        UserError: The folder holds something else than an index.
    """

    def __init__(self, folder: str, kind: str, root: str) -> None:
        self.folder = Path(folder).resolve()  # '.' has no name, and a link cannot be replaced
        if self.folder.exists() and not _may_be_replaced(self.folder):
            raise UserError(
                f'{folder} is no index, and an index would replace it: set --out to a new folder, such as '
                f'{self.folder / INDEX_FOLDER}'
            )
        self.kind = kind
        self.root = root
        self.shards: list[Shard] = []
        self.classes: dict[str, int] = {}
        self._draft = self.folder.with_name(f'{self.folder.name}.{os.getpid()}.tmp')
        self._draft.mkdir(parents=True)
        self._columns = {name: _Column(self._draft / f'{name}.npy', dtype) for name, dtype in _ARRAYS.items()}
        self._columns['ends'].add(np.zeros(1, np.int64))

    @property
    def images(self) -> int:
        return self._columns['labels'].rows

    def add(self, file: StoredFile, part: Part) -> None:
        """Appends the images of a shard."""
        part = _number_classes(part, self.classes)
        ends = part.ends + self._columns['characters'].rows
        for name in _ARRAYS:
            self._columns[name].add(ends if name == 'ends' else getattr(part, name))
        _count(self.shards, file, part, self.root)

    def close(self, labels: str | None = None) -> None:
        """Completes the files and puts them into place.

        Args:
            labels: ``.npy`` with one class number per image instead of the labels in the data.
        """
        for column in self._columns.values():
            column.close()
        if labels is not None:
            self._replace_labels(labels)
        content = dict(format=_FORMAT, kind=self.kind, classes=list(self.classes), shards=self.shards)
        (self._draft / 'index.json').write_text(json.dumps(content) + '\n')
        if self.folder.exists():
            shutil.rmtree(self.folder)
        self._draft.replace(self.folder)

    def discard(self) -> None:
        """Removes what was written, unless the index is complete."""
        shutil.rmtree(self._draft, ignore_errors=True)

    def _replace_labels(self, file: str) -> None:
        labels = read_label_array(file)
        if len(labels) != self.images:
            raise UserError(f'{file} has {len(labels)} labels, and {self.root} holds {self.images} images')
        np.save(self._draft / 'labels.npy', labels.astype(np.int32))
        self.classes, start = {}, 0
        for place, shard in enumerate(self.shards):
            labelled = int((labels[start : start + shard.images] >= 0).sum())
            self.shards[place], start = shard._replace(labelled=labelled), start + shard.images


class _Column:
    """An ``.npy`` file of one dimension that grows."""

    def __init__(self, path: Path, dtype: str) -> None:
        self.file = path.open('wb')
        self.dtype = np.dtype(dtype)
        self.rows = 0
        self._write_header()

    def _write_header(self) -> None:
        """Writes the header; NumPy leaves room in it for any number of rows."""
        self.file.seek(0)
        description = dict(descr=npy.dtype_to_descr(self.dtype), fortran_order=False, shape=(self.rows,))
        npy.write_array_header_1_0(self.file, description)

    def add(self, rows: np.ndarray) -> None:
        self.file.write(np.ascontiguousarray(rows, self.dtype).tobytes())
        self.rows += len(rows)

    def close(self) -> None:
        self._write_header()
        self.file.close()


def _may_be_replaced(folder: Path) -> bool:
    """Returns whether a folder is empty or holds nothing but the files of an index."""
    own = {'index.json', *(f'{name}.npy' for name in _ARRAYS)}
    return folder.is_dir() and {path.name for path in folder.iterdir()} <= own


def read_label_array(file: str) -> np.ndarray:
    """Maps a file of labels, one per image in the order of the index, -1 for none.

    Raises:
        UserError: The file does not exist, is not an ``.npy`` of integers of one dimension, or holds a wrong label.
    """
    try:
        labels = np.load(Path(file).expanduser(), mmap_mode='r')
    except (OSError, ValueError) as error:
        raise UserError(f'{file} is not an .npy file of labels ({error})') from error
    if labels.ndim != 1 or labels.dtype.kind not in 'iu':
        raise UserError(f'{file} must hold one integer per image, got {labels.dtype} of shape {labels.shape}')
    if len(labels) and not -1 <= int(labels.min()) <= int(labels.max()) <= LARGEST_LABEL:
        raise UserError(f'{file} holds labels from {labels.min()} to {labels.max()}; use -1 to {LARGEST_LABEL}')
    return labels


def split_pattern(data_root: str) -> tuple[str, str]:
    """Splits a folder, or a pattern of files, into a folder without wildcards and a pattern relative to it."""
    parts = data_root.split('/')
    fixed = next((place for place, part in enumerate(parts) if set(part) & set('*?[')), len(parts) - 1)
    return '/'.join(parts[:fixed]) or ('/' if data_root.startswith('/') else '.'), '/'.join(parts[fixed:])


def relative(path: str, root: str) -> str:
    """Returns the path of a shard relative to the folder of all shards."""
    return path.removeprefix(f'{root.rstrip("/")}/').removeprefix('./')


def _matches(name: str, pattern: str) -> bool:
    """Returns whether a relative path matches a pattern whose ``*`` does not match a slash, as in ``glob``."""
    names, patterns = name.split('/'), pattern.split('/')
    return len(names) == len(patterns) and all(map(fnmatchcase, names, patterns))


def _number_classes(part: Part, classes: dict[str, int]) -> Part:
    """Renumbers the labels of a part whose classes have names, and adds its classes to ``classes``."""
    if not part.classes:
        return part
    numbers = np.array([classes.setdefault(name, len(classes)) for name in part.classes] + [-1], np.int32)
    return part._replace(labels=numbers[part.labels])  # the label -1 takes the last number


def _count(shards: list[Shard], file: StoredFile, part: Part, root: str) -> None:
    """Adds the images of a part to their shard, the last one or a new one."""
    name, images, labelled = relative(file.path, root), len(part.labels), int((part.labels >= 0).sum())
    if shards and shards[-1].name == name:
        images, labelled = images + shards[-1].images, labelled + shards.pop().labelled
    shards.append(Shard(name, file.size, file.version, images, labelled))


def _map(folder: str) -> dict[str, np.ndarray]:
    return {name: _map_column(Path(folder) / f'{name}.npy', dtype) for name, dtype in _ARRAYS.items()}


def _map_column(file: Path, dtype: str) -> np.ndarray:
    with file.open('rb') as content:  # an empty array cannot be mapped
        npy.read_magic(content)
        shape, _, found = npy.read_array_header_1_0(content)
    if found != np.dtype(dtype) or len(shape) != 1:
        raise ValueError(f'{file.name} holds {found} of shape {shape}, not {dtype}')
    return np.load(file, mmap_mode='r').view(np.ndarray) if shape[0] else np.empty(0, dtype)

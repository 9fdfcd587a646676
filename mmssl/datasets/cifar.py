"""CIFAR-10 and CIFAR-100 in their published Python archives."""

from __future__ import annotations

import io
import tarfile
import zlib
from gzip import BadGzipFile
from pathlib import Path
from pickle import UnpicklingError
from typing import IO, Any

import numpy as np

from mmssl.datasets.array_images import ArrayImages
from mmssl.datasets.restricted_pickle import load_arrays
from mmssl.registry import DATASETS


@DATASETS.register_module()
class CIFAR10(ArrayImages):
    """CIFAR-10 in its published Python archive: 50 000 training and 10 000 test images of 32 x 32 pixels.

    For CIFAR-10 in class folders use ``ClassFolder``.

    Args:
        data_root: Archive ``cifar-10-python.tar.gz``, which need not be unpacked, or its unpacked folder
            ``cifar-10-batches-py``, or the folder of one of these.
        split: ``'train'`` or ``'test'``.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, and ``seed``.

    Raises:
        FileNotFoundError: There is neither the archive nor its unpacked folder.
        ValueError: The split is unknown, or the archive is damaged or incomplete.
    """

    archive = 'cifar-10-python.tar.gz'
    folder = 'cifar-10-batches-py'
    files = dict(train=tuple(f'data_batch_{i}' for i in range(1, 6)), test=('test_batch',))
    meta = 'batches.meta'
    label_key, names_key = b'labels', b'label_names'

    def __init__(self, data_root: str, split: str = 'train', **kwargs: Any) -> None:
        if split not in self.files:
            raise ValueError(f"split must be 'train' or 'test', got {split!r}")
        root = Path(data_root).expanduser()
        try:
            meta, *parts = self._read(root, (self.meta, *self.files[split]))
        except (BadGzipFile, EOFError, KeyError, tarfile.TarError, UnpicklingError, zlib.error) as error:
            raise ValueError(
                f'{self.archive} in {root} is damaged or incomplete ({error}): download it again'
            ) from error
        images = np.concatenate([part[b'data'] for part in parts]).reshape(-1, 3, 32, 32)  # a row is an image (3, H, W)
        super().__init__(
            np.ascontiguousarray(images.transpose(0, 2, 3, 1)),
            np.concatenate([part[self.label_key] for part in parts]),
            tuple(name.decode() for name in meta[self.names_key]),
            **kwargs,
        )

    def _read(self, root: Path, names: tuple[str, ...]) -> list[Any]:
        for folder in (root, root / self.folder):
            if (folder / self.meta).is_file():
                return [load_arrays(io.BytesIO((folder / name).read_bytes())) for name in names]
        for archive in (root, root / self.archive):
            if archive.is_file():
                with tarfile.open(archive) as tar:
                    return [load_arrays(_open(tar, f'{self.folder}/{name}')) for name in names]
        raise FileNotFoundError(
            f'{root} holds neither {self.archive} nor {self.folder}/; set data_root to the folder of one of them '
            "(for images in class folders use type='ClassFolder')"
        )


def _open(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    file = tar.extractfile(name)
    assert file is not None, f'{name} is no file'
    return file


@DATASETS.register_module()
class CIFAR100(CIFAR10):
    """CIFAR-100 in its published Python archive, with the 100 fine labels; for the arguments see ``CIFAR10``."""

    archive = 'cifar-100-python.tar.gz'
    folder = 'cifar-100-python'
    files = dict(train=('train',), test=('test',))
    meta = 'meta'
    label_key, names_key = b'fine_labels', b'fine_label_names'

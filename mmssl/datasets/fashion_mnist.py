"""Fashion-MNIST in its published format, idx files."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mmssl.datasets.array_images import ArrayImages
from mmssl.registry import DATASETS


@DATASETS.register_module()
class FashionMNIST(ArrayImages):
    """Fashion-MNIST, or another dataset of ten classes in MNIST's four files: grey images, as three equal channels.

    Args:
        data_root: Folder of ``train-images-idx3-ubyte``, ``t10k-labels-idx1-ubyte`` and so on, each with or without
            the suffix ``.gz``.
        split: ``'train'`` or ``'test'``.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, and ``seed``.

    Raises:
        FileNotFoundError: A file does not exist.
        ValueError: The split is unknown, a file is not an idx file of bytes, or a label is above 9.
    """

    names = ('t-shirt', 'trouser', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'ankle boot')

    def __init__(self, data_root: str, split: str = 'train', **kwargs: Any) -> None:
        prefixes = dict(train='train', test='t10k')
        if split not in prefixes:
            raise ValueError(f"split must be 'train' or 'test', got {split!r}")
        root = Path(data_root).expanduser()
        images = read_idx(root / f'{prefixes[split]}-images-idx3-ubyte')
        labels = read_idx(root / f'{prefixes[split]}-labels-idx1-ubyte')
        super().__init__(images, labels, self.names, **kwargs)


def read_idx(path: Path) -> np.ndarray:
    """Reads an idx file of bytes: two zero bytes, the type 8, the number of dimensions, their sizes, the data.

    Args:
        path: Path without the suffix ``.gz``; if the file does not exist, ``path`` + ``.gz`` is read.

    Returns:
        uint8 array of the shape in the file.

    Raises:
        FileNotFoundError: Neither file exists.
        ValueError: The file is not an idx file of bytes, or it is damaged or truncated.
    """
    compressed = path.with_name(f'{path.name}.gz')
    if path.is_file():
        data = path.read_bytes()
    elif compressed.is_file():
        try:
            data = gzip.decompress(compressed.read_bytes())
        except (EOFError, OSError, zlib.error) as error:
            raise ValueError(f'{compressed} is damaged or incomplete ({error}): download it again') from error
    else:
        raise FileNotFoundError(f'neither {path} nor {compressed.name} exists; set data_root to the folder of the file')
    if data[:3] != b'\0\0\x08':
        raise ValueError(f'{path} is not an idx file of bytes: it begins with {data[:4]!r}')
    offset = 4 + 4 * int.from_bytes(data[3:4], 'big')
    if len(data) < offset:
        raise ValueError(f'{path} ends within its header: it is truncated')
    shape = np.frombuffer(data, '>u4', count=data[3], offset=4)
    if len(data) - offset != shape.prod():
        raise ValueError(f'{path} holds {len(data) - offset} samples instead of {shape.prod()}: is it truncated?')
    return np.frombuffer(data, np.uint8, offset=offset).reshape(shape).copy()

"""Finding and reading image files."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np

from mmssl.datasets.base import ImageDataset
from mmssl.datasets.decode import decode_image
from mmssl.datasets.shared_strings import SharedStrings

IMAGE_SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff', '.ppm', '.pgm', '.gif', '.jp2')


def find_images(folder: str) -> Iterator[str]:
    """Yields the image files below ``folder``, relative to it, in the order of their names.

    Hidden files and folders are left out, links to folders are followed once.

    Raises:
        FileNotFoundError: There is no such folder.
    """
    folder = os.path.expanduser(folder)
    if not os.path.isdir(folder):
        raise FileNotFoundError(f'{folder} is not a folder; set data_root to one with images')
    yield from _walk(folder, '', set())


def _walk(folder: str, prefix: str, visited: set[str]) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in visited:
        return
    visited.add(real)
    with os.scandir(folder) as entries:
        visible = sorted((entry for entry in entries if not entry.name.startswith('.')), key=lambda entry: entry.name)
    for entry in visible:
        if entry.is_dir():
            yield from _walk(entry.path, f'{prefix}{entry.name}/', visited)
        elif entry.name.lower().endswith(IMAGE_SUFFIXES):
            yield prefix + entry.name


class ImageFiles(ImageDataset):
    """Base of the sources whose images are files below one folder.

    Args:
        data_root: The folder.
        names: Paths of the files relative to ``data_root``; an absolute path stands for itself.
        **kwargs: As for ``ImageDataset``.

    Raises:
        FileNotFoundError: There are no images.
    """

    def __init__(self, data_root: str, names: Iterable[str], **kwargs) -> None:
        self.data_root = os.path.expanduser(data_root)
        self.names = SharedStrings(names)
        if not len(self.names):
            raise FileNotFoundError(f'{data_root} holds no images ({", ".join(IMAGE_SUFFIXES)})')
        super().__init__(**kwargs)

    def describe(self) -> str:
        return f'{type(self).__name__}({self.data_root})'

    def _num_images(self) -> int:
        return len(self.names)

    def _name(self, row: int) -> str:
        return os.path.join(self.data_root, self.names[row])

    def _load(self, row: int) -> np.ndarray:
        with open(self._name(row), 'rb') as file:
            return decode_image(file.read())

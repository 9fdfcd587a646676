"""Finds and reads image files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mmengine.logging import print_log

from mmssl.datasets.bands import BAND_SUFFIXES
from mmssl.datasets.base import ImageDataset, printable
from mmssl.datasets.shared_strings import SharedStrings

IMAGE_SUFFIXES = (
    *('.jpg', '.jpeg', '.jpe', '.jfif', '.png', '.apng', '.bmp', '.dib', '.webp', '.tif', '.tiff', '.ppm', '.pgm'),
    *('.pbm', '.pnm', '.gif', '.jp2', '.j2k', '.avif', '.avifs', '.tga'),
)
_MAX_SHOWN = 5


def is_image_name(path: str, suffixes: tuple[str, ...] = IMAGE_SUFFIXES) -> bool:
    """Returns True if the path has the suffix of an image file and is not hidden."""
    return path.lower().endswith(suffixes) and not path.rpartition('/')[2].startswith('.')


def find_images(folder: str | Sequence[str], bands: Any = None) -> Iterator[str]:
    """Yields the paths of the image files below ``folder``, relative to it, sorted by name.

    Hidden files and folders are skipped. Links to folders are followed, except links to a folder that contains the
    link. Files with other suffixes are skipped, and their number is logged.

    Args:
        folder: Folder, or several folders; with several the paths are absolute and come folder by folder.
        bands: Argument ``bands`` of the dataset; unless it is None, NumPy and DICOM files are images too.

    Raises:
        FileNotFoundError: A folder does not exist.
    """
    others: Counter[str] = Counter()
    if isinstance(folder, str):
        folder = os.path.expanduser(folder)
        if not os.path.isdir(folder):
            raise FileNotFoundError(f'{printable(folder)} is not a folder; set data_root to one with images')
        suffixes = IMAGE_SUFFIXES if bands is None else IMAGE_SUFFIXES + BAND_SUFFIXES
        yield from _walk(folder, '', frozenset(), others, suffixes)
    else:
        for one in folder:
            root = os.path.abspath(os.path.expanduser(one))
            yield from (os.path.join(root, name) for name in find_images(root, bands))
    if others:
        kinds = ', '.join(f'{count} {suffix or "without ending"}' for suffix, count in others.most_common(_MAX_SHOWN))
        print_log(printable(f'{folder}: skipped files without an image suffix: {kinds}'), logger='current', level=30)


def folders_in(folder: str) -> list[str]:
    """Returns the names of the visible folders in ``folder``, sorted."""
    with os.scandir(os.path.expanduser(folder)) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith('.'))


def _walk(
    folder: str, prefix: str, above: frozenset[str], others: Counter[str], suffixes: tuple[str, ...]
) -> Iterator[str]:
    real = os.path.realpath(folder)
    if real in above:  # a link to a folder that contains the link
        return
    with os.scandir(folder) as entries:
        visible = sorted((entry for entry in entries if not entry.name.startswith('.')), key=lambda entry: entry.name)
    for entry in visible:
        if entry.is_dir():
            yield from _walk(entry.path, f'{prefix}{entry.name}/', above | {real}, others, suffixes)
        elif is_image_name(entry.name, suffixes):
            yield prefix + entry.name
        else:
            others[os.path.splitext(entry.name)[1].lower()] += 1


class ImageFiles(ImageDataset):
    """Base class of datasets whose images are single files.

    Args:
        data_root: Folder of the files, or several folders.
        names: Paths of the files, relative to ``data_root`` or absolute.
        **kwargs: Arguments of ``ImageDataset``.

    Raises:
        FileNotFoundError: There are no images.
    """

    def __init__(self, data_root: str | Sequence[str], names: Iterable[str], **kwargs: Any) -> None:
        roots = [data_root] if isinstance(data_root, str) else list(data_root)
        self.data_root = ', '.join(map(os.path.expanduser, roots))
        self.names = SharedStrings(names)
        if not len(self.names):
            more = '' if kwargs.get('bands') else f'; with bands also {", ".join(BAND_SUFFIXES)}'
            raise FileNotFoundError(f'{data_root} holds no images ({", ".join(IMAGE_SUFFIXES)}{more})')
        super().__init__(**kwargs)

    def describe(self) -> str:
        return f'{type(self).__name__}({self.data_root})'

    def _num_images(self) -> int:
        return len(self.names)

    def _name(self, row: int) -> str:
        return os.path.join(self.data_root, self.names[row])

    def _read_file(self, row: int) -> bytes:
        with open(self._name(row), 'rb') as file:
            return file.read()

    def _fingerprint(self) -> Iterator[bytes]:
        for row in range(len(self.names)):
            name = self._name(row)
            try:
                status = os.stat(name)
                known = status.st_size, status.st_mtime_ns
            except OSError:
                known = None
            yield f'{name}|{known}'.encode('utf-8', 'surrogateescape')

"""Decoded copies of the images of a dataset, in one file that all processes map."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import cv2
import numpy as np
import PIL
import torch
from mmengine.logging import print_log
from torch.utils.data import DataLoader, Dataset

from mmssl.datasets.decode import UnreadableImageError
from mmssl.utils.errors import UserError

_ALIGNMENT = 64  # bytes at which an image begins
_CHECK_AFTER = 200  # images from which the size of all is estimated
_MOST_JOBS = 16
_MANY = 10_000  # images from one line of the log to the next
_DESCRIPTION = 'description.json'
_RULES = 2  # number of the rules of ``decode_image`` and ``decode_bands``: raise it when pixels change


class DecodedImages:
    """Decoded images: row -> uint8 (H, W, 3), or (H, W, C), also uint16, for datasets with bands.

    The file is mapped copy-on-write, so workers and processes share its memory. A transform must not write into the
    image that it gets: its process would see the change in every later epoch.

    Args:
        folder: Folder that ``open_decoded`` wrote.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = np.load(folder / 'places.npy', mmap_mode='r').view(np.ndarray)
        self.pixels = np.memmap(folder / 'pixels.bin', np.uint8, mode='c').view(np.ndarray)

    def __reduce__(self) -> tuple:
        return DecodedImages, (self.folder,)  # a spawned worker maps the files again

    def __getitem__(self, row: int) -> np.ndarray | None:
        """Returns an image, None if it could not be decoded."""
        start, height, width, bands, item = self.places[row].tolist()
        if not height:
            return None
        size = height * width * bands * item
        return self.pixels[start : start + size].view(f'u{item}').reshape(height, width, bands)


def open_decoded(
    folder: str, name: str, fingerprint: Iterable[bytes], number: int, load: Callable[[int], np.ndarray]
) -> DecodedImages:
    """Maps the decoded copies of a dataset, and makes them first if there are none of the same files.

    Copies belong to the names, sizes and times of the files and to the versions of the decoders. One process makes
    them, with a worker per core, and other processes wait. They get their name when they are complete, so an
    interrupted start leaves nothing that is used.

    Args:
        folder: Folder of all copies; it is created.
        name: Name of the dataset, for messages.
        fingerprint: Texts that change with the files and with the way in which they are decoded.
        number: Number of images.
        load: Function that decodes an image.

    Raises:
        UserError: The disk is too small, or the folder cannot be written.
    """
    import fcntl

    key = hashlib.sha256(f'{_RULES} {cv2.__version__} {PIL.__version__} {number}'.encode())
    for text in fingerprint:
        key.update(text + b'\n')
    place = Path(folder).expanduser() / key.hexdigest()[:16]
    if not place.is_dir():
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            lock = place.with_suffix('.lock').open('w')
        except OSError as error:
            raise _not_written(name, place, error) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not place.is_dir():
                _warn_of_old(place.parent, name)
                _write(place, name, number, load)
    return DecodedImages(place)


def _warn_of_old(folder: Path, name: str) -> None:
    for file in folder.glob(f'*/{_DESCRIPTION}'):
        if json.loads(file.read_text())['name'] == name:
            print_log(f'{name} has changed: images are decoded again; {file.parent} may be removed', logger='current')


def _write(place: Path, name: str, number: int, load: Callable[[int], np.ndarray]) -> None:
    draft = place.with_suffix('.tmp')
    shutil.rmtree(draft, ignore_errors=True)  # of an interrupted start
    draft.mkdir()
    places = np.zeros((number, 5), np.int64)
    try:
        with (draft / 'pixels.bin').open('wb') as file:
            for row, image in enumerate(_decode_all(number, load)):
                if image.ndim == 3:
                    places[row] = file.tell(), *image.shape, image.itemsize
                    file.write(image.tobytes())
                    file.write(bytes(-file.tell() % _ALIGNMENT))
                if row + 1 in (_CHECK_AFTER, number):
                    _check_room(file, row + 1, number, name)
                if (row + 1) % _MANY == 0 or row + 1 == number:
                    print_log(f'{name}: {row + 1} of {number} images decoded to {place}', logger='current')
            file.write(bytes(_ALIGNMENT))  # an empty file cannot be mapped
            file.flush()
            os.fsync(file.fileno())
        np.save(draft / 'places.npy', places)
        (draft / _DESCRIPTION).write_text(json.dumps(dict(name=name, images=number)))
        draft.replace(place)
    except OSError as error:
        raise _not_written(name, place, error) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _not_written(name: str, place: Path, error: OSError) -> UserError:
    reason = error.strerror or error
    return UserError(
        f'{name}: decoded copies cannot be written to {place.parent} ({reason}): set decoded to another folder or None'
    )


def _check_room(file: IO[bytes], done: int, number: int, name: str) -> None:
    needed = file.tell() * (number - done) // done
    free = shutil.disk_usage(file.name).free
    if needed > free:
        raise UserError(
            f'{name}: decoded copies of {number} images need about {file.tell() * number / done / 2**30:.1f} GiB, and '
            f'the disk of {file.name} has {(free + file.tell()) / 2**30:.1f} GiB: set decoded to another folder or None'
        )


def _decode_all(number: int, load: Callable[[int], np.ndarray]) -> Iterator[np.ndarray]:
    """Yields all images in their order; an empty array for one that cannot be decoded."""
    jobs = min(os.cpu_count() or 1, _MOST_JOBS, -(-number // 64))
    loader = DataLoader(
        _Rows(number, load),
        batch_size=None,
        num_workers=jobs if jobs > 1 else 0,
        generator=torch.Generator(),  # the run's own random numbers do not depend on whether there are copies
    )
    for image in loader:
        yield image.numpy()


class _Rows(Dataset):
    def __init__(self, number: int, load: Callable[[int], np.ndarray]) -> None:
        self.number = number
        self.load = load

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, row: int) -> torch.Tensor:
        try:
            image: Any = np.array(self.load(row))  # a copy, because torch wants memory that it may write
        except (UnreadableImageError, OSError):
            return torch.empty(0, dtype=torch.uint8)  # the run meets it again, and counts it
        return torch.from_numpy(image)

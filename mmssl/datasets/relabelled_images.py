"""A dataset with replaced labels: from a file, or partly random."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmssl.checkpoints.files import replace_file
from mmssl.datasets.base import LARGEST_LABEL, ImageDataset, checked_source, printable, shared_options
from mmssl.registry import DATASETS


@DATASETS.register_module()
class RelabelledImages(ImageDataset):
    """The images of another dataset with labels from a file, such as clusters, or with label noise.

    Labels are matched to images by name, so the file can have any order and can hold further images. Images that the
    file does not name are left out.

    With ``noise=p`` each image gets, with probability p, a class that is drawn uniformly from all ``num_classes``. The
    drawn class equals the old one in 1 of ``num_classes`` cases, so a share of ``p * (1 - 1 / num_classes)`` of the
    labels changes. The draws depend only on ``noise_seed`` and the index of the image in its dataset.

    Args:
        dataset: Config of the dataset, without ``views`` and ``transform``.
        labels: Text file with lines ``name label``, see ``write_labels``; None keeps the labels of the dataset.
        noise: Probability p in [0, 1].
        num_classes: Number of classes to draw from; needed with noise only.
        noise_seed: Seed of the noise.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``,
            ``value_range``, ``bands``; a dataset without its own value of the last two uses this one.

    Raises:
        FileNotFoundError: The file of labels does not exist.
        ValueError: The file names no image of the dataset or gives one two labels, there are no labels, a line has no
            label, ``noise`` is out of range or given without ``num_classes``, or ``num_classes`` is larger than the
            number of classes that have names.
    """

    def __init__(
        self,
        dataset: dict,
        labels: str | None = None,
        noise: float = 0.0,
        num_classes: int | None = None,
        noise_seed: int = 0,
        **kwargs: Any,
    ) -> None:
        if not 0 <= noise <= 1 or noise and (num_classes is None or num_classes < 1):
            raise ValueError(f'noise must lie in [0, 1] and needs num_classes >= 1, got {noise} and {num_classes}')
        shown = {key: kwargs[key] for key in ('views', 'transform') if key in kwargs}
        self.dataset = DATASETS.build({**shared_options(kwargs), **checked_source(dataset, 'dataset'), **shown})
        self.classes = self.dataset.classes if labels is None else None
        self.labels = self._own_labels() if labels is None else self._labels_of(Path(labels).expanduser())
        if noise:
            assert num_classes is not None, 'checked above'
            if self.classes is not None and num_classes > len(self.classes):
                raise ValueError(
                    f'num_classes is {num_classes}, and {self.dataset.describe()} has {len(self.classes)} classes: '
                    'noise would draw classes that do not exist'
                )
            rng = np.random.default_rng(noise_seed)
            is_noisy, drawn = rng.random(len(self.labels)) < noise, rng.integers(num_classes, size=len(self.labels))
            is_noisy &= self.labels.numpy() >= 0  # images without a label get none, so they stay left out
            self.labels[is_noisy] = torch.from_numpy(drawn.astype(np.int32)[is_noisy])
        super().__init__(**kwargs)
        self.num_bands = self.dataset.num_bands

    def _own_labels(self) -> torch.Tensor:
        labels = [self.dataset.label(row) for row in range(len(self.dataset))]
        if max(labels) < 0:
            raise ValueError(f'{self.dataset.describe()} has no labels: give a file of labels')
        return torch.tensor(labels, dtype=torch.int32)

    def _labels_of(self, file: Path) -> torch.Tensor:
        """Returns the label of each image, -1 if the file does not name it."""
        by_name = read_labels(file)
        labels = [by_name.get(image_name(self.dataset, row), -1) for row in range(len(self.dataset))]
        missing = labels.count(-1)
        if missing == len(labels):
            raise ValueError(
                f'{file} belongs to another dataset: it names images such as {next(iter(by_name), None)!r}, and none '
                f'of {self.dataset.describe()}, such as {image_name(self.dataset, 0)!r}'
            )
        if missing:
            print_log(f'{missing} of {len(labels)} images have no label in {file} and are left out', logger='current')
        return torch.tensor(labels, dtype=torch.int32)

    def _select(self, split: str, val_every: int) -> torch.Tensor:
        rows = torch.as_tensor(super()._select(split, val_every))
        return rows[self.labels[rows] >= 0]

    def _num_images(self) -> int:
        return len(self.dataset)

    def _load(self, row: int) -> np.ndarray:
        return self.dataset.load(row)

    def _has_files(self) -> bool:
        return self.bands is None and self.dataset._has_files() and self.dataset._decoded is None

    def _read_file(self, row: int) -> bytes:
        return self.dataset.read_file(row)

    def _label(self, row: int) -> int:
        return int(self.labels[row])

    def _name(self, row: int) -> str:
        return self.dataset.name(row)

    def describe(self) -> str:
        return f'{type(self).__name__}({self.dataset.describe()})'


def image_name(dataset: ImageDataset, index: int) -> str:
    """Returns the name of image ``index`` in label files.

    It is the path relative to ``data_root``, for tar files relative to the folder of all shards, or the key in an LMDB;
    the whole name in a dataset without any of these.
    """
    name, root = dataset.name(index), getattr(dataset, 'root', None) or getattr(dataset, 'data_root', None)
    for start in (f'{root.rstrip("/")}/', f'{root}:') if root else ():
        if name.startswith(start):
            return name.removeprefix(start)
    return name


def read_labels(file: Path) -> dict[str, int]:
    """Reads a file of labels.

    Args:
        file: Text file with lines ``name label``; empty lines and comments, which begin with ``#`` and a space, are
            skipped.

    Returns:
        Name of an image -> label.

    Raises:
        FileNotFoundError: The file does not exist.
        ValueError: A line does not end with an integer, the integer is too large, or a name has two labels.
    """
    if not file.is_file():
        raise FileNotFoundError(f'{file} is not a file: set labels to a text file with one "name label" per line')
    labels: dict[str, int] = {}
    with file.open(encoding='utf-8-sig', errors='surrogateescape') as lines:
        for number, line in enumerate(map(str.rstrip, lines), 1):  # a name may begin with a space
            if not line or line == '#' or line.startswith('# '):
                continue
            name, _, label = line.rpartition(' ')
            if not name or not label.isdecimal() or int(label) > LARGEST_LABEL:
                raise ValueError(
                    f'{file}:{number}: a line must be "name label" with an integer up to {LARGEST_LABEL}, got {line!r}'
                )
            if labels.setdefault(name, int(label)) != int(label):
                raise ValueError(f'{file}:{number}: {printable(name)!r} has the labels {labels[name]} and {label}')
    return labels


def write_labels(file: Path, names: Iterable[str], labels: Iterable[int], comment: str) -> None:
    """Writes a file of labels that ``read_labels`` reads; the file appears under its name only when it is complete.

    Args:
        file: File to write.
        names: Names of the images, see ``image_name``.
        labels: Label of each image.
        comment: Text of the first line, after ``#``.
    """
    temporary = file.with_name(f'{file.name}.tmp')
    with temporary.open('w', encoding='utf-8', errors='surrogateescape') as lines:
        lines.write(f'# {comment}\n')
        lines.writelines(f'{name} {label}\n' for name, label in zip(names, labels))
    replace_file(temporary, file)

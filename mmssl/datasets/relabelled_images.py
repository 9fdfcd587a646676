"""A dataset whose labels are replaced: by those in a file, or in part by random ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.logging import print_log

from mmssl.checkpoints.files import replace_file
from mmssl.datasets.base import LARGEST_LABEL, ImageDataset
from mmssl.registry import DATASETS


@DATASETS.register_module()
class RelabelledImages(ImageDataset):
    """The images of another dataset with labels of a file, such as clusters, or with noise on their own labels.

    Labels are joined to images by the name of the image, never by its position: the file may be in any order and may
    hold other images too. Images that the file does not name are left out.

    With ``noise=p`` each image gets, with probability p, a class that is drawn uniformly from all ``num_classes``. The
    drawn class is the old one in 1 of ``num_classes`` cases, so a share of ``p * (1 - 1 / num_classes)`` of the labels
    changes. The draws depend on ``noise_seed`` and the position of the image in its dataset alone.

    Args:
        dataset: Config of the dataset, without ``views`` and ``transform``.
        labels: Text file of lines ``name label``, as ``write_labels`` writes them; None keeps the dataset's own.
        noise: Probability p, in [0, 1].
        num_classes: Number of classes, for the noise.
        noise_seed: Seed of the noise.
        **kwargs: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``, ``value_range`` as for
            ``ImageDataset``; a dataset that has no ``value_range`` of its own takes this one.

    Raises:
        FileNotFoundError: There is no such file of labels.
        ValueError: The file names no image of the dataset, a line has no label, or the noise is wrong.
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
        if not 0 <= noise <= 1 or noise and num_classes is None:
            raise ValueError(f'noise must lie in [0, 1] and needs num_classes, got {noise} and {num_classes}')
        shown = {key: kwargs[key] for key in ('views', 'transform') if key in kwargs}
        shared = dict(value_range=kwargs['value_range']) if kwargs.get('value_range') else {}
        self.dataset = DATASETS.build({**shared, **dataset, **shown})
        self.classes = self.dataset.classes if labels is None else None
        self.labels = self._own_labels() if labels is None else self._labels_of(Path(labels).expanduser())
        if noise:
            rng = np.random.default_rng(noise_seed)
            is_noisy, drawn = rng.random(len(self.labels)) < noise, rng.integers(num_classes, size=len(self.labels))
            is_noisy &= self.labels.numpy() >= 0  # images without a label stay left out
            self.labels[is_noisy] = torch.from_numpy(drawn.astype(np.int32)[is_noisy])
        super().__init__(**kwargs)

    def _own_labels(self) -> torch.Tensor:
        return torch.tensor([self.dataset.label(row) for row in range(len(self.dataset))], dtype=torch.int32)

    def _labels_of(self, file: Path) -> torch.Tensor:
        """The label of each image, -1 where the file does not name it."""
        by_name = read_labels(file)
        labels = [by_name.get(image_name(self.dataset, row), -1) for row in range(len(self.dataset))]
        missing = labels.count(-1)
        if missing == len(labels):
            raise ValueError(
                f'{file} labels images such as {next(iter(by_name), None)!r}, and none of {self.dataset.describe()}, '
                f'such as {image_name(self.dataset, 0)!r}: the labels are of another dataset'
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

    def _label(self, row: int) -> int:
        return int(self.labels[row])

    def _name(self, row: int) -> str:
        return self.dataset.name(row)

    def describe(self) -> str:
        return f'{type(self).__name__}({self.dataset.describe()})'


def image_name(dataset: ImageDataset, index: int) -> str:
    """Returns the name of image ``index`` in files of labels: its path below ``data_root`` if it has one."""
    return dataset.name(index).removeprefix(f'{getattr(dataset, "data_root", "")}/')


def read_labels(file: Path) -> dict[str, int]:
    """Reads a file of labels.

    Args:
        file: Lines ``name label``; empty ones and those that begin with ``#`` are left out.

    Returns:
        Label by name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line does not end in a whole number, or in one that is too large.
    """
    if not file.is_file():
        raise FileNotFoundError(f'{file} is not a file: name the labels of the images, one "name label" a line')
    labels = {}
    with file.open(encoding='utf-8', errors='surrogateescape') as lines:
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith('#'):
                continue
            name, _, label = line.rpartition(' ')
            if not name or not label.isdecimal() or int(label) > LARGEST_LABEL:
                raise ValueError(
                    f'{file}:{number}: a line is "name label" with a whole number up to {LARGEST_LABEL}, got {line!r}'
                )
            labels[name] = int(label)
    return labels


def write_labels(file: Path, names: Iterable[str], labels: Iterable[int], comment: str) -> None:
    """Writes a file of labels, whose first line is the comment; it appears once it is whole."""
    temporary = file.with_name(f'{file.name}.tmp')
    with temporary.open('w', encoding='utf-8', errors='surrogateescape') as lines:
        lines.write(f'# {comment}\n')
        lines.writelines(f'{name} {label}\n' for name, label in zip(names, labels))
    replace_file(temporary, file)

"""Concatenates several datasets."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from numbers import Real
from typing import Any

import numpy as np
import torch

from mmssl.datasets.base import ImageDataset, checked_source, shared_options
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ConcatDataset(ImageDataset):
    """Concatenates the images of several datasets and matches their classes by name.

    If two datasets have a class ``cat``, it gets one label. Labelled datasets without class names can only be combined
    with each other, and their labels are used unchanged. Datasets without labels can be combined with all others.

    Args:
        datasets: Configs of the datasets, without ``views`` and ``transform``, which are given to this class.
        weights: Number of times that an epoch holds each image, one integer >= 1 per dataset. None means once. Every
            occurrence of an image gets a different random augmentation.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``,
            ``value_range``, ``bands``; datasets without their own value of the last two use this one. All occurrences
            of an image belong to the same split, and the split ``'val'`` holds each image once.

    Raises:
        ValueError: There are no datasets, ``weights`` does not match them, a dataset has its own views, only some of
            the labelled datasets have class names, or the images have different numbers of bands.
    """

    _source_key = 'datasets[{}]'  # key of the config of a dataset, for messages

    def __init__(self, datasets: Sequence[dict], weights: Sequence[int] | None = None, **kwargs: Any) -> None:
        weights = [1] * len(datasets) if weights is None else list(weights)
        if not datasets or len(weights) != len(datasets) or not all(map(_is_positive_and_whole, weights)):
            raise ValueError(
                f'weights must hold one integer >= 1 for each of the {len(datasets)} datasets, got {weights}'
            )
        places = [self._source_key.format(number) for number in range(len(datasets))]
        for place, source in zip(places, datasets):
            if extra := {'views', 'transform'} & source.keys():
                beside = place.partition('[')[0]
                raise ValueError(f'{place} has {", ".join(sorted(extra))}: give it once, beside {beside}')
        view = {key: kwargs.get(key) for key in ('views', 'transform')}
        shared = shared_options(kwargs)
        self.sources: list[ImageDataset] = [
            DATASETS.build({**shared, **checked_source(source, place), **view})
            for place, source in zip(places, datasets)
        ]
        self._ends = list(accumulate(len(source) * int(weight) for source, weight in zip(self.sources, weights)))
        self.classes, self._numbers = _merge_classes(self.sources)
        super().__init__(**kwargs)
        numbers = [source.num_bands for source in self.sources]
        if len(set(numbers)) > 1:
            shown = ', '.join(f'{source.describe()} {number or "RGB"}' for source, number in zip(self.sources, numbers))
            raise ValueError(f'the datasets have different numbers of bands: {shown}; set bands beside datasets')
        self.num_bands = numbers[0]

    def _select(self, split: str, val_every: int) -> Sequence[int] | torch.Tensor:
        if split == 'all':
            return super()._select(split, val_every)
        images, first = [], 0  # number of the image of every row; repeated rows have the same number
        for source, start, end in zip(self.sources, [0, *self._ends], self._ends):
            images.append(first + torch.arange(end - start) % len(source))
            first += len(source)
        held_out = torch.cat(images) % val_every == 0
        if split == 'train':
            return (~held_out).nonzero().squeeze(1)
        is_first = torch.cat([torch.arange(len(part)) < len(source) for part, source in zip(images, self.sources)])
        return (held_out & is_first).nonzero().squeeze(1)

    def describe(self) -> str:
        return ' + '.join(source.describe() for source in self.sources)

    def _num_images(self) -> int:
        return self._ends[-1]

    def _place(self, row: int) -> tuple[int, int]:
        """Returns the number of the dataset that holds a row, and the index of the image in this dataset."""
        source = bisect_right(self._ends, row)
        return source, (row - (self._ends[source - 1] if source else 0)) % len(self.sources[source])

    def _label(self, row: int) -> int:
        source, index = self._place(row)
        label = self.sources[source].label(index)
        return label if self._numbers is None or label < 0 else self._numbers[source][label]

    def _name(self, row: int) -> str:
        source, index = self._place(row)
        return self.sources[source].name(index)

    def _load(self, row: int) -> np.ndarray:
        source, index = self._place(row)
        return self.sources[source].load(index)

    def _has_files(self) -> bool:
        return self.bands is None and all(source._has_files() and source._decoded is None for source in self.sources)

    def _read_file(self, row: int) -> bytes:
        source, index = self._place(row)
        return self.sources[source].read_file(index)


def _is_positive_and_whole(weight: Any) -> bool:
    return isinstance(weight, Real) and float(weight) >= 1 and float(weight) % 1 == 0


def _merge_classes(sources: Sequence[ImageDataset]) -> tuple[tuple[str, ...] | None, list[list[int]] | None]:
    """Returns the class names of all datasets, sorted, and for each dataset the new numbers of its classes.

    If all datasets have the same classes in the same order, the new numbers are None and labels do not change.
    """
    known = [source.classes for source in sources]
    if all(classes == known[0] for classes in known):
        return known[0], None
    nameless = [source.describe() for source in sources if source.classes is None and source.label(0) >= 0]
    if nameless:
        raise ValueError(f'{", ".join(nameless)}: labels without class names cannot be matched with other datasets')
    merged = tuple(sorted({name for classes in known for name in classes or ()}))
    place = {name: number for number, name in enumerate(merged)}
    return merged, [[place[name] for name in classes or ()] for classes in known]

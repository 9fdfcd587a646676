"""Several image sources as one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from numbers import Real
from typing import Any

import numpy as np
import torch

from mmssl.datasets.base import ImageDataset
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ConcatDataset(ImageDataset):
    """The images of several sources, one source after the other, with views, seeds and labels of their own.

    Classes are matched by their names: two sources that both know a class ``cat`` give it one label. Sources that do
    not know names must all have the same numbering, or no labels.

    Args:
        datasets: Configs of the sources, without ``views`` and ``transform``, which are given once, here.
        weights: How many times an epoch holds each image of each source, whole numbers from 1 on; one per source.
            None holds each once. Every occurrence gets an augmentation of its own.
        **kwargs: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``, ``value_range`` as for
            ``ImageDataset``; sources that have no ``value_range`` of their own take this one. All occurrences of an
            image are in the same part of a split, and the part ``'val'`` holds each image once.

    Raises:
        ValueError: There are no sources, ``weights`` does not fit them, a source has views of its own, or some sources
            have names of classes and some have not.
    """

    def __init__(self, datasets: Sequence[dict], weights: Sequence[int] | None = None, **kwargs: Any) -> None:
        weights = [1] * len(datasets) if weights is None else list(weights)
        if not datasets or len(weights) != len(datasets) or not all(map(_is_positive_and_whole, weights)):
            raise ValueError(
                f'weights must hold one whole number from 1 on for each of the {len(datasets)} datasets, got {weights}'
            )
        for number, source in enumerate(datasets):
            if extra := {'views', 'transform'} & source.keys():
                raise ValueError(f'datasets[{number}] has {", ".join(extra)}: give it once, beside datasets')
        view = {key: kwargs.get(key) for key in ('views', 'transform')}
        shared = dict(value_range=kwargs['value_range']) if kwargs.get('value_range') else {}
        self.sources: list[ImageDataset] = [DATASETS.build({**shared, **source, **view}) for source in datasets]
        self._ends = list(accumulate(len(source) * int(weight) for source, weight in zip(self.sources, weights)))
        self.classes, self._numbers = _merge_classes(self.sources)
        super().__init__(**kwargs)

    def _select(self, split: str, val_every: int) -> range | torch.Tensor:
        if split == 'all':
            return super()._select(split, val_every)
        images, first = [], 0  # the image of every row, counted over all sources
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
        """The source of a row, and the row's index there."""
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


def _is_positive_and_whole(weight: Any) -> bool:
    return isinstance(weight, Real) and weight >= 1 and weight % 1 == 0


def _merge_classes(sources: Sequence[ImageDataset]) -> tuple[tuple[str, ...] | None, list[list[int]] | None]:
    """The classes of all sources in the order of their names, and the number of each source's classes there.

    Sources with the same classes in the same order keep their numbers.
    """
    known = [source.classes for source in sources]
    if all(classes == known[0] for classes in known):
        return known[0], None
    nameless = [source.describe() for source in sources if source.classes is None and source.label(0) >= 0]
    if nameless:
        raise ValueError(f'{", ".join(nameless)}: labels without names of classes cannot be matched with other data')
    merged = tuple(sorted({name for classes in known for name in classes or ()}))
    place = {name: number for number, name in enumerate(merged)}
    return merged, [[place[name] for name in classes or ()] for classes in known]

"""The base class of all image datasets."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from mmssl.datasets.bands import check_bands, decode_bands, read_value_range
from mmssl.datasets.decode import UnreadableImageError, decode_image, decode_reduced, jpeg_shape
from mmssl.datasets.decoded_images import DecodedImages, open_decoded
from mmssl.datasets.reduced_decoding import check_views, choose_divisor, render_reduced
from mmssl.datasets.transforms.augmented_view import AugmentedView
from mmssl.datasets.transforms.center_crop_view import CenterCropView
from mmssl.datasets.transforms.same_view import SameView
from mmssl.registry import TRANSFORMS
from mmssl.utils.errors import UserError

LARGEST_LABEL = 2**31 - 1  # labels are stored in 32 bits
_MAX_UNREADABLE_IN_A_ROW = 20


class ImageDataset(Dataset):
    """Base class of image datasets, which return augmented views for training or a single view for evaluation.

    A subclass implements ``_num_images`` and either ``_load`` or, if its images are files, ``_read_file``; it may
    implement ``_label``, ``_name`` (for messages), ``_fingerprint`` and ``classes``. An index is an int (epoch 0) or a
    pair ``(epoch, index)`` from ``EpochSampler``. All random draws of an item come from a generator that is seeded with
    (seed, epoch, index), so they depend neither on the number of workers nor on earlier items.

    An image that cannot be read is replaced by another one, always the same for the same (seed, epoch, index). Its name
    and the reason are reported in ``skipped`` of the item; ``UnreadableImagesHook`` counts and shows them.

    An item is a dict of ``inputs`` (for training a list with one uint8 (3, S, S) tensor per view, for evaluation one
    such tensor), ``photometric`` (for training only: a list with one float32 program per view, see
    ``mmssl.models.preprocessing.photometric``), ``data_samples`` (``index``, and ``label`` or -1; if a view such as
    ``AlignedView`` tells its crop, also ``crops``, float32 (V, 5): left, top, width and height of each view in pixels
    of the image, and 1 if it is flipped) and ``skipped`` (a list of texts). Collate items with
    ``collate_fn=dict(type='collate_views')``.

    Args:
        views: Configs of the views for training, such as ``dict(type='AugmentedView', size=224, ...)``. Multi-crop
            is a longer list: two large views, then ``[dict(type='AugmentedView', size=96, ...)] * 6``. A
            ``dict(type='SameView', ...)`` renders the previous view again, for instance at another size.
        transform: Config of the single view for evaluation, such as
            ``dict(type='CenterCropView', resize=256, size=224)``. Give either ``views`` or ``transform``.
        seed: Seed of crops and colours; None takes the seed of the run, which ``EpochSampler`` sets.
        split: ``'all'``; or, for datasets without published splits, ``'val'`` for every ``val_every``-th image in the
            order of names (so class folders stay balanced) or ``'train'`` for the others.
        val_every: Distance of the validation images, see ``split``.
        value_range: Sample values that become black and white, for image files with more than 8 bits per sample, such
            as (0, 4095) for 12 bits; see ``decode_image``. 8-bit files do not need it. With ``bands`` also one pair
            for each band, or the path of a file that ``tools/misc/measure_images.py`` wrote.
        decoded: Folder on a local disk for decoded copies of all images, which need 5 to 10 times the space of JPEG
            files; None decodes at every use. See ``DecodedImages``. The copies are made at the first start.
        reduced_decoding: Smallest number of pixels of an image per pixel of a view, at least 1. Large JPEG files are
            decoded at 1/2, 1/4 or 1/8 of their size if this many remain in every view, so views differ slightly; None
            decodes whole images. See ``mmssl.datasets.reduced_decoding``.
        bands: Number C of bands, or indices of the bands to take, for images that are not RGB photographs, see
            ``decode_bands``; images are then (H, W, C), uint8 or uint16. None reads RGB.

    Raises:
        ValueError: An argument is outside its range, or not exactly one of ``views`` and ``transform`` is given.
        FileNotFoundError: The dataset, or ``split`` of it, holds no images.
    """

    classes: tuple[str, ...] | None = None
    holds_rgb = False  # True for images that are RGB in memory, for which ``bands`` has no meaning
    _numbers_of_classes: list[int] | None = None

    def __init__(
        self,
        *,
        views: list[dict] | None = None,
        transform: dict | None = None,
        seed: int | None = None,
        split: str = 'all',
        val_every: int = 10,
        value_range: Any = None,
        bands: int | Sequence[int] | None = None,
        decoded: str | None = None,
        reduced_decoding: float | None = None,
    ) -> None:
        if (views is None) == (transform is None):
            raise ValueError('give either views (training) or transform (evaluation), and not both')
        if views is not None and not views:
            raise ValueError("views is empty; give one dict(type='AugmentedView', ...) per view")
        if split not in ('all', 'train', 'val') or val_every < 2:
            raise ValueError(f"split must be 'all', 'train' or 'val' and val_every >= 2, got {split!r} and {val_every}")
        self.bands = bands
        self.num_bands = None if bands is None else check_bands(bands)
        self.value_range = None if value_range is None else read_value_range(value_range, bands)
        self.views = [TRANSFORMS.build(view) for view in views or ()]
        _check_training_views(self.views)
        self.transform = None if transform is None else TRANSFORMS.build(transform)
        self._check_bands()
        if hasattr(self.transform, 'draw') and not isinstance(self.transform, CenterCropView):
            raise ValueError(
                f'{type(self.transform).__name__} is random, so it cannot be the transform of an evaluation: use '
                "dict(type='CenterCropView', resize=256, size=224)"
            )
        self.seed = seed
        self._rows = self._select(split, val_every)
        if len(self) == 0:
            number = self._num_images()
            found = f'{number} images, and none of them is in split={split!r}' if number else 'no images'
            raise FileNotFoundError(f'{self.describe()} holds {found}')
        self.reduced_decoding = None if reduced_decoding is None else self._check_reduced(reduced_decoding, decoded)
        self._decoded = None if decoded is None else self._open_decoded(decoded)

    def _check_bands(self) -> None:
        if self.bands is not None and self.holds_rgb:
            raise UserError(
                f'{type(self).__name__} holds images in RGB, so it has no bands to choose: remove bands={self.bands}'
            )
        for view in (*self.views, self.transform) if self.bands is not None else ():
            if getattr(view, 'needs_rgb', False):
                raise ValueError(f'{type(view).__name__} reads RGB alone: remove bands, or use an AugmentedView')
            used = getattr(view, 'interpolation', 'bilinear')
            if used == 'lanczos' or self.value_range and used == 'bicubic-aliased':
                raise ValueError(
                    f"images with bands are resized by 'bilinear' or 'bicubic', got interpolation={used!r}"
                )

    @abstractmethod
    def _num_images(self) -> int:
        """Returns the number of images, before ``split`` selects some."""

    def _load(self, row: int) -> np.ndarray:
        """Returns image ``row`` as uint8 RGB (H, W, 3), or its ``bands``.

        Raises:
            UnreadableImageError, OSError: The image cannot be read.
        """
        return self._decode(self._read_file(row))

    def _read_file(self, row: int) -> bytes:
        """Returns the file of image ``row``; the exceptions are those of ``_load``."""
        raise NotImplementedError(f'{type(self).__name__} implements neither _load nor _read_file')

    def _fingerprint(self) -> Iterable[bytes]:
        """Yields names, sizes and times of the files, which tell whether decoded copies belong to them."""
        raise UserError(
            f'decoded needs a dataset of image files, {type(self).__name__} is not one; in a dataset that holds others '
            'set decoded in those'
        )

    def _open_decoded(self, folder: str) -> DecodedImages:
        options = repr((self.bands, self.value_range)).encode()
        files = chain([options], self._fingerprint())
        return open_decoded(folder, self.describe(), files, self._num_images(), self._load)

    def _has_files(self) -> bool:
        """Returns whether ``read`` returns the files that ``load`` decodes to RGB."""
        return type(self)._read_file is not ImageDataset._read_file and self.bands is None

    def _check_reduced(self, least: float, decoded: str | None) -> float:
        if decoded is not None or not self._has_files():
            raise UserError(
                'reduced_decoding needs datasets of image files without bands and without decoded copies, '
                f'{self.describe()} is not one'
            )
        return check_views(self.views, least)

    def _label(self, row: int) -> int:
        return -1

    def _name(self, row: int) -> str:
        return f'{self.describe()}[{row}]'

    def _decode(self, data: bytes) -> np.ndarray:
        """Decodes the bytes of an image file into uint8 RGB (H, W, 3), or into ``bands``."""
        if self.bands is not None:
            return decode_bands(data, self.bands, self.value_range)
        return decode_image(data, self.value_range)

    def describe(self) -> str:
        """Returns a short name of the dataset for messages."""
        return type(self).__name__

    @property
    def metainfo(self) -> dict:
        """A dict with ``classes``, which MMEngine passes to evaluators."""
        return dict(classes=self.classes)

    def __len__(self) -> int:
        return len(self._rows)

    def label(self, index: int) -> int:
        """Returns the label of image ``index``, -1 if it has none, without reading the image."""
        label = self._label(int(self._rows[index]))
        return label if self._numbers_of_classes is None or label < 0 else self._numbers_of_classes[label]

    def number_classes(self, classes: Sequence[str]) -> None:
        """Renumbers the classes by their position in ``classes``, which must hold all of them and may hold more."""
        place = {name: number for number, name in enumerate(classes)}
        before = self._numbers_of_classes or range(len(self.classes or ()))
        numbers = {number: place[name] for number, name in enumerate(self.classes or ())}
        self._numbers_of_classes = [numbers[number] for number in before]
        self.classes = tuple(classes)

    def name(self, index: int) -> str:
        """Returns the path or name of image ``index``."""
        return self._name(int(self._rows[index]))

    def load(self, index: int) -> np.ndarray:
        """Returns image ``index`` without a view, uint8 RGB (H, W, 3), or its ``bands``."""
        row = int(self._rows[index])
        copy = None if self._decoded is None else self._decoded[row]
        return self._load(row) if copy is None else copy

    def read_file(self, index: int) -> bytes:
        """Returns the file of image ``index``, for datasets of files."""
        return self._read_file(int(self._rows[index]))

    def with_transform(self, transform: dict) -> ImageDataset:
        """Returns a copy of the dataset for evaluation; it shares the list of images, so no folder is read again.

        Args:
            transform: Config of the single view, see the constructor.
        """
        other = copy.copy(self)
        other.views, other.transform = [], TRANSFORMS.build(transform)
        return other

    def __getitem__(self, item: int | tuple[int, int]) -> dict:
        epoch, index = item if isinstance(item, tuple) else (0, item)
        seed = self.seed or 0
        (image, shape, divisor), found, skipped = self._load_or_substitute(seed, epoch, index)
        samples: dict[str, Any] = dict(index=found, label=self.label(found))
        result: dict[str, Any] = dict(data_samples=samples, skipped=skipped)
        if self.transform is not None:
            return dict(inputs=self.transform(image), **result)
        drawn = self.draw_views(epoch, index, shape, found)
        samples.update(self.facts(found, drawn))
        views = [
            view.render(image, draw) if divisor == 1 else render_reduced(view, image, draw, divisor)
            for view, draw in zip(self.views, drawn)
        ]
        return dict(inputs=views, photometric=[draw.program for draw in drawn], **result)

    def draw_views(self, epoch: int, index: int, shape: tuple[int, ...], found: int | None = None) -> list[Any]:
        """Returns the draws of the views of item ``(epoch, index)``.

        Args:
            epoch: Epoch, which is a part of the seed.
            index: Index of the item.
            shape: Height and width of the image.
            found: Index of the image that takes the place of an unreadable one; None means ``index``.
        """
        rng = np.random.default_rng((self.seed or 0, epoch, index))
        drawn: list[Any] = []
        for view in self.views:
            drawn.append(view.draw(shape, rng, drawn[-1] if drawn else None))
        return drawn

    def facts(self, index: int, drawn: list[Any]) -> dict[str, Any]:
        """Returns what ``data_samples`` gets beside ``index`` and ``label``: ``crops``, if a view tells its crop."""
        if not any(getattr(view, 'tells_crop', False) for view in self.views):
            return {}
        return dict(crops=torch.tensor([crop_of(draw) for draw in drawn], dtype=torch.float32))

    def _load_for_views(self, epoch: int, index: int, found: int) -> tuple[np.ndarray, tuple[int, ...], int]:
        """Returns image ``found``, height and width of the whole image, and what the size was divided by."""
        data = self.read_file(found) if self.reduced_decoding is not None and self.transform is None else b''
        shape = jpeg_shape(data)
        if shape is None or self.reduced_decoding is None:
            image = self.load(found)
            return image, image.shape[:2], 1
        divisor = choose_divisor(self.views, self.draw_views(epoch, index, shape, found), self.reduced_decoding)
        return (decode_image(data) if divisor == 1 else decode_reduced(data, divisor)), shape, divisor

    def _load_or_substitute(
        self, seed: int, epoch: int, index: int
    ) -> tuple[tuple[np.ndarray, tuple[int, ...], int], int, list[str]]:
        skipped: list[str] = []
        candidate = index
        for attempt in range(_MAX_UNREADABLE_IN_A_ROW):
            try:
                return self._load_for_views(epoch, index, candidate), candidate, skipped
            except (UnreadableImageError, OSError) as error:
                skipped.append(printable(f'{self.name(candidate)} ({_reason(error)})'))
            candidate = int(np.random.default_rng((seed, epoch, index, attempt)).integers(len(self)))
        raise ValueError(
            f'{len(skipped)} images in a row cannot be read, among them {"; ".join(skipped[:3])}. '
            'Check that the storage is mounted and that the files are images'
        )

    def _select(self, split: str, val_every: int) -> Sequence[int] | torch.Tensor:
        inner, rows = getattr(self, 'dataset', None), range(self._num_images())
        if isinstance(inner, ImageDataset) and isinstance(inner._rows, range) and inner._rows == rows:
            return inner._select(split, val_every)  # it knows which of its rows are the same image
        if split == 'all':
            return rows
        return rows[::val_every] if split == 'val' else TrainingRows(len(rows), val_every)


def _check_training_views(views: Sequence[Any]) -> None:
    if views and isinstance(views[0], SameView):
        raise ValueError('the first view cannot be a SameView: there is no previous view to render again')
    for previous, view in zip([None, *views], views):
        name = type(view).__name__
        if not hasattr(view, 'draw'):
            raise ValueError(f"{name} cannot stand in views, only in transform: use dict(type='AugmentedView', ...)")
        if isinstance(view, SameView) and not isinstance(previous, (AugmentedView, SameView)):
            raise ValueError(
                f'a SameView renders an AugmentedView again, and the view before it is {type(previous).__name__}'
            )


class TrainingRows(Sequence):
    """The rows that are not held out for validation, computed when they are asked for, because there may be many.

    Args:
        number: Number of rows.
        val_every: Distance of the rows that are held out, from row 0.
    """

    def __init__(self, number: int, val_every: int) -> None:
        self.number = number - len(range(0, number, val_every))
        self.others = val_every - 1  # rows between two that are held out

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < self.number:
            raise IndexError(f'row {index} is not in 0..{self.number - 1}')
        return index + index // self.others + 1


def shared_options(options: dict[str, Any]) -> dict[str, Any]:
    """Returns those of a dataset's arguments that decode images, which a dataset around others passes on to them."""
    return {key: options[key] for key in ('value_range', 'bands') if options.get(key)}


def checked_source(config: dict, place: str) -> dict:
    """Returns the config of a dataset within another one, if it has no argument that only the outer one reads.

    Raises:
        UserError: It has ``reduced_decoding``, which would have no effect.
    """
    if config.get('reduced_decoding') is not None:
        raise UserError(f'{place} has reduced_decoding: give it once, beside {place.partition("[")[0]}')
    return config


def crop_of(drawn: Any) -> tuple[int, int, int, int, bool]:
    """Returns left, top, width, height and flip of a drawn view."""
    top, left, height, width = drawn.box
    return left, top, width, height, drawn.flipped


def printable(text: str) -> str:
    """Escapes the bytes of a file name that are not UTF-8 as ``\\udcff``, because a log file cannot store them."""
    return text.encode('utf-8', 'backslashreplace').decode()


def _reason(error: Exception) -> str:
    """Returns the message of the error, without the path that an ``OSError`` adds."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)

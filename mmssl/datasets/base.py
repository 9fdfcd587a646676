"""The base of every image source."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from mmssl.datasets.decode import UnreadableImageError, decode_image
from mmssl.datasets.transforms.same_view import SameView
from mmssl.registry import TRANSFORMS

LARGEST_LABEL = 2**31 - 1  # labels are stored in 32 bits
_MAX_UNREADABLE_IN_A_ROW = 20


class ImageDataset(Dataset):
    """Images that a source loads, as augmented views for training or as one plain view for evaluation.

    A subclass says how many images there are (``_num_images``), loads one (``_load``), and may know its label
    (``_label``), its name for messages (``_name``) and the ``classes``. An index is an int (epoch 0) or a pair
    ``(epoch, index)`` as ``EpochSampler`` yields it; everything random about an item is drawn from a generator seeded
    by (seed, epoch, index), view after view, so it depends neither on the number of workers nor on earlier items.

    An image that cannot be read is replaced by another one, the same each time for the same (seed, epoch, index), and
    its name and the reason are reported in the item's ``skipped``; ``UnreadableImagesHook`` counts and shows these.

    Items: ``inputs`` (training: a list with one uint8 (3, S, S) tensor per view; evaluation: one such tensor),
    ``photometric`` (training only: a list with one float32 program per view, see
    ``mmssl.models.preprocessing.photometric``), ``data_samples`` (``index`` and ``label``, -1 where there is none) and
    ``skipped`` (texts). Batch them with ``collate_fn=dict(type='collate_views')``.

    Args:
        views: For training: one config per view, such as ``dict(type='AugmentedView', size=224, ...)``. Multi-crop
            is a longer list: two large views, then ``[dict(type='AugmentedView', size=96, ...)] * 6``. A
            ``dict(type='SameView', ...)`` renders the view before it once more, at another size for instance.
        transform: For evaluation: the config of the one plain view, such as
            ``dict(type='CenterCropView', resize=256, size=224)``. Exactly one of ``views`` and ``transform`` is given.
        seed: Seed of crops and colours; None takes the run's seed, which ``EpochSampler`` hands over.
        split: ``'all'``, or for a source that has no split of its own ``'val'`` (every ``val_every``-th image, in the
            order of names, so balanced over class folders) or ``'train'`` (the others).
        val_every: See ``split``.
        value_range: The sample values that become black and white, for image files with more than 8 bits a sample,
            such as (0, 4095) for 12 bits; see ``decode_image``. Other files do not need it.
    """

    classes: tuple[str, ...] | None = None
    _numbers_of_classes: list[int] | None = None

    def __init__(
        self,
        *,
        views: list[dict] | None = None,
        transform: dict | None = None,
        seed: int | None = None,
        split: str = 'all',
        val_every: int = 10,
        value_range: tuple[float, float] | None = None,
    ) -> None:
        if (views is None) == (transform is None):
            raise ValueError('give either views (training) or transform (evaluation), and not both')
        if views is not None and not views:
            raise ValueError("views is empty; give one dict(type='AugmentedView', ...) per view")
        if split not in ('all', 'train', 'val') or val_every < 2:
            raise ValueError(f"split must be 'all', 'train' or 'val' and val_every >= 2, got {split!r} and {val_every}")
        if value_range is not None and not value_range[0] < value_range[1]:
            raise ValueError(f'value_range must be (black, white) with black < white, got {tuple(value_range)}')
        self.value_range = value_range
        self.views = [TRANSFORMS.build(view) for view in views or ()]
        if self.views and isinstance(self.views[0], SameView):
            raise ValueError('the first view has none before it that a SameView could render again')
        self.transform = None if transform is None else TRANSFORMS.build(transform)
        self.seed = seed
        self._rows = self._select(split, val_every)
        if len(self) == 0:
            raise FileNotFoundError(f'{self.describe()} holds no images')

    @abstractmethod
    def _num_images(self) -> int:
        """Returns how many images the source holds."""

    @abstractmethod
    def _load(self, row: int) -> np.ndarray:
        """Returns image ``row`` as uint8 RGB (H, W, 3).

        Raises:
            UnreadableImageError, OSError: It cannot be read.
        """

    def _label(self, row: int) -> int:
        return -1

    def _name(self, row: int) -> str:
        return f'{self.describe()}[{row}]'

    def _decode(self, data: bytes) -> np.ndarray:
        """Decodes the bytes of an image file into uint8 RGB (H, W, 3)."""
        return decode_image(data, self.value_range)

    def describe(self) -> str:
        """Returns a short name of the source for messages."""
        return type(self).__name__

    @property
    def metainfo(self) -> dict:
        """What MMEngine passes on to evaluators: ``classes``."""
        return dict(classes=self.classes)

    def __len__(self) -> int:
        return len(self._rows)

    def label(self, index: int) -> int:
        """Returns the label of image ``index``, -1 where there is none, without reading the image."""
        label = self._label(int(self._rows[index]))
        return label if self._numbers_of_classes is None or label < 0 else self._numbers_of_classes[label]

    def number_classes(self, classes: Sequence[str]) -> None:
        """Numbers the classes as ``classes`` does, which names all of them and may name more."""
        place = {name: number for number, name in enumerate(classes)}
        before = self._numbers_of_classes or range(len(self.classes or ()))
        numbers = {number: place[name] for number, name in enumerate(self.classes or ())}
        self._numbers_of_classes = [numbers[number] for number in before]
        self.classes = tuple(classes)

    def name(self, index: int) -> str:
        """Returns the path or name of image ``index``."""
        return self._name(int(self._rows[index]))

    def load(self, index: int) -> np.ndarray:
        """Returns image ``index`` as it is stored, uint8 RGB (H, W, 3)."""
        return self._load(int(self._rows[index]))

    def with_transform(self, transform: dict) -> ImageDataset:
        """Returns the same images, which are not listed again, as one plain view each.

        Args:
            transform: Config of the plain view, as the constructor takes it.
        """
        other = copy.copy(self)
        other.views, other.transform = [], TRANSFORMS.build(transform)
        return other

    def __getitem__(self, item: int | tuple[int, int]) -> dict:
        epoch, index = item if isinstance(item, tuple) else (0, item)
        seed = self.seed or 0
        image, found, skipped = self._load_or_substitute(seed, epoch, index)
        result = dict(data_samples=dict(index=found, label=self.label(found)), skipped=skipped)
        if self.transform is not None:
            return dict(inputs=self.transform(image), **result)
        rng = np.random.default_rng((seed, epoch, index))
        views, programs, drawn = [], [], None
        for view in self.views:
            drawn = view.draw(image.shape[:2], rng, drawn)
            views.append(view.render(image, drawn))
            programs.append(drawn.program)
        return dict(inputs=views, photometric=programs, **result)

    def _load_or_substitute(self, seed: int, epoch: int, index: int) -> tuple[np.ndarray, int, list[str]]:
        skipped: list[str] = []
        candidate = index
        for attempt in range(_MAX_UNREADABLE_IN_A_ROW):
            try:
                return self.load(candidate), candidate, skipped
            except (UnreadableImageError, OSError) as error:
                skipped.append(printable(f'{self.name(candidate)} ({_reason(error)})'))
            candidate = int(np.random.default_rng((seed, epoch, index, attempt)).integers(len(self)))
        raise ValueError(
            f'{len(skipped)} images in a row cannot be read, among them {"; ".join(skipped[:3])}. '
            'Is the storage mounted, and are these images?'
        )

    def _select(self, split: str, val_every: int) -> range | torch.Tensor:
        rows = range(self._num_images())
        if split == 'all':
            return rows
        if split == 'val':
            return rows[::val_every]
        is_train = torch.ones(len(rows), dtype=torch.bool)
        is_train[::val_every] = False
        return is_train.nonzero().squeeze(1)


def printable(text: str) -> str:
    """Replaces what no terminal or log file can take: bytes of a file name that are not UTF-8 become ``\\udcff``."""
    return text.encode('utf-8', 'backslashreplace').decode()


def _reason(error: Exception) -> str:
    """The error without the path, which an ``OSError`` repeats."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)

"""ImageNet-1k in the layouts in which it is distributed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmssl.datasets.image_files import ImageFiles, find_images, folders_in
from mmssl.registry import DATASETS

_DEVKIT = 'ILSVRC2012_devkit_t12'
_SYNSET_LIST = 'imagenet_2012_validation_synset_labels.txt'
_NUM_CLASSES = 1000


@DATASETS.register_module()
class ImageNet1k(ImageFiles):
    """ImageNet-1k (ILSVRC 2012) in the layouts in which it is distributed.

    Training images are in ``train/<synset>/``. Validation images are in ``val/<synset>/``, or directly in ``val/`` as
    in the official archive. Then their labels are read from ``data_root``: from the development kit
    (``ILSVRC2012_devkit_t12/``), or from a list with one synset per line in the order of the image names
    (``imagenet_2012_validation_synset_labels.txt``). The label of a synset is its position in the sorted list of
    synsets, as in all common classifiers; the different numbers of the development kit are translated.

    Args:
        data_root: Folder of ``train/`` and ``val/``.
        split: ``'train'`` or ``'val'``.
        subset: For training, a text file relative to ``data_root`` with the names of the images to use, one
            ``<synset>_<number>.JPEG`` per line, as SimCLR publishes them for 1 % and 10 % of the labels. The class
            numbers do not change. None uses all images.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, and ``seed``.

    Raises:
        FileNotFoundError: The images, the validation labels or the subset file do not exist.
        ValueError: The split is unknown, the number of labels differs from the number of images, an image is not in a
            class folder, a subset is given for another split than ``'train'``, or it names a synset without a folder.
    """

    def __init__(self, data_root: str, split: str = 'train', subset: str | None = None, **kwargs: Any) -> None:
        if split not in ('train', 'val') or subset and split != 'train':
            raise ValueError(f"split must be 'train' or 'val', got {split!r}; subset needs split='train'")
        root = Path(data_root).expanduser()
        synsets: list[str] = []

        def names():
            for name in subset_names(root / subset) if subset else find_images(str(root / split)):
                synsets.append(name.rpartition('/')[0])
                yield name

        super().__init__(str(root / split), names(), **kwargs)
        has_folders = any(synsets)
        if split == 'val' and not has_folders:
            synsets = validation_synsets(root)
            if len(synsets) != self._num_images():
                raise ValueError(
                    f'{root}/val holds {self._num_images()} images, but the labels have {len(synsets)} lines'
                )
        elif strays := [row for row, synset in enumerate(synsets) if not synset or '/' in synset]:
            raise ValueError(
                f'{self.name(strays[0])} is not in {root / split}/<synset>/; for other layouts use ImageFolder or '
                'ClassFolder'
            )
        classes, labels = np.unique(synsets, return_inverse=True)
        if has_folders:  # empty folders count too: without them the classes after them would shift
            folders = np.array(folders_in(str(root / split)))
            unknown = np.setdiff1d(classes, folders)
            if len(unknown):
                raise ValueError(f'{subset} names synsets without a folder in {root / split}, such as {unknown[0]}')
            classes, labels = folders, np.searchsorted(folders, synsets)
        self.classes = tuple(classes.tolist())
        self.labels = torch.from_numpy(labels.astype(np.int32))

    def _label(self, row: int) -> int:
        return int(self.labels[row])


def subset_names(file: Path) -> Iterator[str]:
    """Yields ``<synset>/<name>`` for every image name in ``file``.

    Raises:
        FileNotFoundError: The file does not exist.
    """
    if not file.is_file():
        raise FileNotFoundError(
            f'{file} is not a file: put the list of image names there (SimCLR publishes 1percent.txt and 10percent.txt)'
        )
    for name in file.read_text(encoding='utf-8-sig').split():
        yield f'{name.partition("_")[0]}/{name}'


def validation_synsets(root: Path) -> list[str]:
    """Returns the synset (WordNet id of the class, such as ``n01440764``) of each validation image, by image name.

    Args:
        root: Folder with the development kit or the list of synsets, see ``ImageNet1k``.

    Returns:
        One synset per image, in the sorted order of the image names.

    Raises:
        FileNotFoundError: The folder has neither.
        ValueError: The development kit gives an image a number without a synset.
    """
    if (root / _SYNSET_LIST).is_file():
        return (root / _SYNSET_LIST).read_text(encoding='utf-8-sig').split()
    for folder in (root / _DEVKIT / 'data', root / _DEVKIT, root / 'devkit' / 'data'):
        truth, meta = folder / 'ILSVRC2012_validation_ground_truth.txt', folder / 'meta.mat'
        if truth.is_file() and meta.is_file():
            from scipy.io import loadmat

            rows = loadmat(meta, squeeze_me=True)['synsets'][:_NUM_CLASSES]  # later rows are inner nodes of WordNet
            synset_of = {int(row['ILSVRC2012_ID']): str(row['WNID']) for row in rows}
            return [_synset(synset_of, number, f'{truth}:{line}') for line, number in enumerate(_words(truth), 1)]
    raise FileNotFoundError(
        f'the images in {root}/val have no class folders, and {root} holds neither {_DEVKIT}/ nor {_SYNSET_LIST} '
        'to label them; unpack the development kit there'
    )


def _words(file: Path) -> list[str]:
    return file.read_text(encoding='utf-8-sig').split()


def _synset(synset_of: dict[int, str], number: str, place: str) -> str:
    if not number.isdecimal() or int(number) not in synset_of:
        raise ValueError(f'{place}: expected the number of a synset, 1 to {len(synset_of)}, got {number!r}')
    return synset_of[int(number)]

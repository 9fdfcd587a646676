"""PASCAL VOC as a dataset with several labels per image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mmssl.datasets.image_files import ImageFiles
from mmssl.registry import DATASETS

# Number in a list file -> target: the class is present, absent, or present but marked difficult.
_MEANING = {'1': 1, '-1': 0, '0': -1}


@DATASETS.register_module()
class VOCClassification(ImageFiles):
    """Images of PASCAL VOC with the classes from ``ImageSets/Main/<class>_<split>.txt``.

    The attribute ``targets`` (N, C) int8 is 1 if the image shows the class, 0 if it does not, and -1 if the class is
    marked difficult, which evaluation ignores. An image can have several classes, so ``label`` is always -1.

    Args:
        data_root: Folder with ``JPEGImages/`` and ``ImageSets/Main/``, such as ``VOCdevkit/VOC2007``.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``, or another name that the list files have.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, and ``seed``.

    Raises:
        FileNotFoundError: The split has no list files.
        ValueError: A line of a list is not ``name 1``, ``name 0`` or ``name -1``, or the lists of two classes name
            different images.
    """

    def __init__(self, data_root: str, split: str = 'trainval', **kwargs: Any) -> None:
        root = Path(data_root).expanduser()
        lists = sorted((root / 'ImageSets' / 'Main').glob(f'*_{split}.txt'))
        if not lists:
            raise FileNotFoundError(
                f'{root}/ImageSets/Main holds no lists *_{split}.txt; set data_root to a folder such as '
                'VOCdevkit/VOC2007'
            )
        names: list[str] = []
        columns: list[list[int]] = []
        for file in lists:
            listed, column = _read_list(file)
            names = names if columns else listed
            if listed != names:
                raise ValueError(f'{file} must list the same images as {lists[0]}, in the same order')
            columns.append(column)
        super().__init__(str(root / 'JPEGImages'), (f'{name}.jpg' for name in names), **kwargs)
        self.classes = tuple(file.stem.removesuffix(f'_{split}') for file in lists)
        self.targets = torch.tensor(columns, dtype=torch.int8).T.contiguous()


def _read_list(file: Path) -> tuple[list[str], list[int]]:
    """Returns the names of the images of a list file and the target of each, see ``_MEANING``."""
    names, targets = [], []
    for number, line in enumerate(file.read_text(encoding='utf-8-sig').splitlines(), 1):
        if not line.strip():
            continue
        name, flag = [*line.rsplit(maxsplit=1), ''][:2]
        if flag not in _MEANING:
            raise ValueError(
                f'{file}:{number}: a line must be "name 1" (the class is present), "name -1" (it is not) or "name 0" '
                f'(difficult), got {line!r}'
            )
        names.append(name)
        targets.append(_MEANING[flag])
    return names, targets

"""PASCAL VOC as images with several labels each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from mmssl.datasets.image_files import ImageFiles
from mmssl.registry import DATASETS

# What the lists say of a class in an image: there, absent, and there but difficult to see.
_MEANING = {'1': 1, '-1': 0, '0': -1}


@DATASETS.register_module()
class VOCClassification(ImageFiles):
    """Images of PASCAL VOC with the classes that ``ImageSets/Main/<class>_<split>.txt`` list for them.

    ``targets`` (N, C) int8 has 1 where an image shows class c, 0 where it does not, and -1 where the class is there but
    marked difficult, which evaluation leaves out. An image has no one label, so ``label`` is -1 throughout.

    Args:
        data_root: The folder with ``JPEGImages/`` and ``ImageSets/Main/``, such as ``VOCdevkit/VOC2007``.
        split: ``'train'``, ``'val'``, ``'trainval'`` or ``'test'``, or another one that has lists.
        **kwargs: ``views`` or ``transform``, and ``seed``, as for ``ImageDataset``.

    Raises:
        FileNotFoundError: There are no lists of the split.
        ValueError: The lists of two classes name different images.
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
        columns = []
        for file in lists:
            lines = [line.split() for line in file.read_text().splitlines() if line.strip()]
            names = names or [line[0] for line in lines]
            if [line[0] for line in lines] != names:
                raise ValueError(f'{file} lists other images than {lists[0]}, or in another order')
            columns.append([_MEANING[line[1]] for line in lines])
        super().__init__(str(root / 'JPEGImages'), (f'{name}.jpg' for name in names), **kwargs)
        self.classes = tuple(file.stem.removesuffix(f'_{split}') for file in lists)
        self.targets = torch.tensor(columns, dtype=torch.int8).T.contiguous()

"""A dataset of images in one folder per class."""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from typing import Any

import torch

from mmssl.datasets.image_files import ImageFiles, find_images, folders_in
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ClassFolder(ImageFiles):
    """Images in class folders ``data_root/<class>/**/<image>``; classes are numbered in the order of their names.

    A folder without images is a class too, so that it does not shift the numbers of the classes after it.

    Args:
        data_root: Folder of the class folders, or several such folders, whose class folders of the same name are
            merged.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: The folder does not exist or holds no images.
        ValueError: An image is not in a class folder.
    """

    def __init__(self, data_root: str | Sequence[str], **kwargs: Any) -> None:
        roots = [data_root] if isinstance(data_root, str) else list(data_root)
        numbers: dict[str, int] = {}  # class -> temporary number, in the order of the first image of each class
        labels = array('i')

        def names():
            for root in roots:
                for name in find_images(root, kwargs.get('bands')):
                    folder, separator, _ = name.partition('/')
                    if not separator:
                        raise ValueError(
                            f'{root}/{name} is not in a class folder; expected {root}/<class>/{name}. '
                            "For images without classes use type='ImageFolder'."
                        )
                    labels.append(numbers.setdefault(folder, len(numbers)))
                    yield name if len(roots) == 1 else os.path.join(os.path.abspath(os.path.expanduser(root)), name)

        super().__init__(data_root, names(), **kwargs)
        self.classes = tuple(sorted(numbers.keys() | {folder for root in roots for folder in folders_in(root)}))
        place = {name: number for number, name in enumerate(self.classes)}
        order = torch.tensor([place[name] for name in numbers], dtype=torch.int32)
        self.labels = order[torch.frombuffer(labels, dtype=torch.int32)]

    def _label(self, row: int) -> int:
        return int(self.labels[row])

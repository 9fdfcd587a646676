"""A folder with one folder per class."""

from __future__ import annotations

from array import array

import torch

from mmssl.datasets.image_files import ImageFiles, find_images
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ClassFolder(ImageFiles):
    """Images in class folders: ``data_root/<class>/**/<image>``, classes numbered in the order of their names.

    Args:
        data_root: The folder of the class folders.
        **kwargs: ``views`` or ``transform``, ``seed``, ``split``, ``val_every`` as for ``ImageDataset``.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
        ValueError: An image lies beside the class folders, so it has no class.
    """

    def __init__(self, data_root: str, **kwargs) -> None:
        classes: list[str] = []
        labels = array('i')

        def names():
            for name in find_images(data_root):
                folder, separator, _ = name.partition('/')
                if not separator:
                    raise ValueError(
                        f'{data_root}/{name} lies in no class folder; expected {data_root}/<class>/{name}. '
                        "For images without classes use type='ImageFolder'."
                    )
                if not classes or classes[-1] != folder:
                    classes.append(folder)
                labels.append(len(classes) - 1)
                yield name

        super().__init__(data_root, names(), **kwargs)
        self.classes = tuple(classes)
        self.labels = torch.frombuffer(labels, dtype=torch.int32)

    def _label(self, row: int) -> int:
        return int(self.labels[row])

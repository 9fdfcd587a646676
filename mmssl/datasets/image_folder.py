"""Any folder of images, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmssl.datasets.image_files import ImageFiles, find_images
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ImageFolder(ImageFiles):
    """Every image below a folder, however deep, without labels and without a list file.

    Args:
        data_root: The folder, or a list of several.
        **kwargs: ``views`` or ``transform``, ``seed``, ``split``, ``val_every`` as for ``ImageDataset``.

    Raises:
        FileNotFoundError: There is no such folder, or no image in it.
    """

    def __init__(self, data_root: str | Sequence[str], **kwargs: Any) -> None:
        super().__init__(data_root, find_images(data_root), **kwargs)

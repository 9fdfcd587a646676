"""A dataset of all images below a folder, without labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmssl.datasets.image_files import ImageFiles, find_images
from mmssl.registry import DATASETS


@DATASETS.register_module()
class ImageFolder(ImageFiles):
    """All images below a folder at any depth, without labels and without a list file.

    Args:
        data_root: Folder, or a list of several folders.
        **kwargs: Arguments of ``ImageDataset``: ``views`` or ``transform``, ``seed``, ``split``, ``val_every``.

    Raises:
        FileNotFoundError: The folder does not exist or holds no images.
    """

    def __init__(self, data_root: str | Sequence[str], **kwargs: Any) -> None:
        super().__init__(data_root, find_images(data_root, kwargs.get('bands')), **kwargs)

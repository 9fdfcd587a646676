"""The base class of datasets that are kept in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from mmssl.datasets.base import ImageDataset


class ArrayImages(ImageDataset):
    """Base class of small datasets whose images are a single array.

    Args:
        images: uint8 (N, H, W, 3) RGB, or (N, H, W) grey.
        labels: Integers (N,), or None for images without labels.
        classes: Class names in the order of the labels.
        **kwargs: Arguments of ``ImageDataset``.

    Raises:
        ValueError: There is another number of labels than of images, or a label that no class has.
    """

    holds_rgb = True

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray | None = None,
        classes: tuple[str, ...] | None = None,
        **kwargs: Any,
    ) -> None:
        self.images = torch.from_numpy(images)  # torch moves tensors to workers in shared memory, without a copy
        self.labels = None if labels is None else torch.as_tensor(labels, dtype=torch.int32)
        if self.labels is not None and len(self.labels) != len(self.images):
            raise ValueError(f'{self.describe()} has {len(self.images)} images and {len(self.labels)} labels')
        if self.labels is not None and classes is not None and (self.labels >= len(classes)).any():
            raise ValueError(
                f'{self.describe()} has {len(classes)} classes, so its labels must be 0 to {len(classes) - 1}, got '
                f'{int(self.labels.max())}'
            )
        self.classes = classes
        super().__init__(**kwargs)

    def _num_images(self) -> int:
        return len(self.images)

    def _label(self, row: int) -> int:
        return -1 if self.labels is None else int(self.labels[row])

    def _load(self, row: int) -> np.ndarray:
        image = self.images[row].numpy()
        return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)

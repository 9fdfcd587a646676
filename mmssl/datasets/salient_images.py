"""A dataset whose views are drawn around what is salient."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmssl.datasets.base import ImageDataset, checked_source, shared_options
from mmssl.datasets.decode import UnreadableImageError, decode_image
from mmssl.datasets.relabelled_images import image_name
from mmssl.datasets.saliency import spectral_residual
from mmssl.datasets.transforms.salient_view import SalientView
from mmssl.registry import DATASETS
from mmssl.utils.errors import UserError

_THRESHOLD = 128
_LOOKED_FOR = 100  # maps at the start, so that a wrong folder is found before the first batch


@DATASETS.register_module()
class SalientImages(ImageDataset):
    """The images of another dataset with masks of what is salient, for ``SalientView``.

    An item has ``masks`` in its ``data_samples``, uint8 (V, S, S): 1 where a view shows something salient, else 0. An
    image whose map is missing, has another size or has no value above 128 is replaced by another image and reported
    like an unreadable one.

    Args:
        dataset: Config of the dataset, without ``views`` and ``transform``.
        maps: Folder of the saliency maps, grey images with 0-255, ``maps/a/b.png`` for the image ``a/b.jpg``. None
            estimates the masks by ``spectral_residual``.
        **kwargs: Arguments of ``ImageDataset``: ``views`` (``SalientView``) or ``transform``, ``seed``, ``split``,
            ``val_every``, ``value_range``, ``bands``; a dataset without its own value of the last two uses this one.

    Raises:
        FileNotFoundError: ``maps`` is not a folder, or has no map for any of up to 100 images across the dataset.
        UserError: ``maps`` is given and the names of the images are not relative to one folder, or a view for training
            is not a ``SalientView``.
    """

    def __init__(self, dataset: dict, maps: str | None = None, **kwargs: Any) -> None:
        shown = {key: kwargs[key] for key in ('views', 'transform') if key in kwargs}
        self.dataset = DATASETS.build({**shared_options(kwargs), **checked_source(dataset, 'dataset'), **shown})
        self.classes = self.dataset.classes
        self.maps = None if maps is None else Path(maps).expanduser()
        if self.maps is not None and not self.maps.is_dir():
            raise FileNotFoundError(
                f'{self.maps} is not a folder: set maps to the folder of the saliency maps, or to None to estimate them'
            )
        name = image_name(self.dataset, 0)
        if self.maps is not None and (os.path.isabs(name) or '..' in name.split('/')):
            raise UserError(
                f'the image {name} has no place below maps: use one dataset of files with a single data_root, or set '
                'maps to None to estimate them'
            )
        if self.maps is not None:
            self._check_maps()
        self._last: tuple[int, np.ndarray] | None = None
        super().__init__(**kwargs)
        self.num_bands = self.dataset.num_bands
        if others := [type(view).__name__ for view in self.views if not isinstance(view, SalientView)]:
            raise UserError(f"views of SalientImages must be dict(type='SalientView', ...), got {others[0]}")

    def mask(self, index: int) -> np.ndarray:
        """Returns what is salient in image ``index``, bool (H, W).

        Raises:
            UnreadableImageError, OSError: The map is missing or empty, or has another size than the image.
        """
        row = int(self._rows[index])
        if self._last is None or self._last[0] != row:
            self._last = row, self._mask(row, self.dataset.load(row))
        return self._last[1]

    def _map(self, row: int) -> Path:
        assert self.maps is not None, 'only a folder has files'
        return (self.maps / image_name(self.dataset, row)).with_suffix('.png')

    def _check_maps(self) -> None:
        rows = np.linspace(0, len(self.dataset) - 1, min(len(self.dataset), _LOOKED_FOR), dtype=int).tolist()
        if not any(self._map(row).is_file() for row in rows):
            raise FileNotFoundError(
                f'{self.maps} has no saliency map for any of {len(rows)} images: {image_name(self.dataset, 0)} needs '
                f'{self._map(0)}; change maps, or set it to None to estimate them'
            )

    def _mask(self, row: int, image: np.ndarray) -> np.ndarray:
        if self.maps is None:
            return spectral_residual(image)
        file = self._map(row)
        if not file.is_file():
            raise UnreadableImageError(f'it has no saliency map {file}')
        mask = decode_image(file.read_bytes())[..., 0] > _THRESHOLD
        if mask.shape != image.shape[:2]:
            raise UnreadableImageError(f'its saliency map {file} has {mask.shape} pixels, not {image.shape[:2]}')
        if not mask.any():
            raise UnreadableImageError(f'its saliency map {file} has no value above {_THRESHOLD}')
        return mask

    def draw_views(self, epoch: int, index: int, shape: tuple[int, ...], found: int | None = None) -> list[Any]:
        """Returns the draws of the views of item ``(epoch, index)``, see ``ImageDataset``."""
        rng = np.random.default_rng((self.seed or 0, epoch, index))
        mask = self.mask(index if found is None else found)
        return [view.draw_around(mask, rng) for view in self.views]

    def facts(self, index: int, drawn: list[Any]) -> dict[str, Any]:
        """Returns the masks of the views, see the class."""
        mask = self.mask(index)
        return dict(masks=torch.stack([view.render_mask(mask, draw) for view, draw in zip(self.views, drawn)]))

    def _num_images(self) -> int:
        return len(self.dataset)

    def _load(self, row: int) -> np.ndarray:
        image = self.dataset.load(row)
        if self.transform is None and (self._last is None or self._last[0] != row):
            self._last = row, self._mask(row, image)  # an image without a mask counts as unreadable
        return image

    def _label(self, row: int) -> int:
        return self.dataset.label(row)

    def _name(self, row: int) -> str:
        return self.dataset.name(row)

    def describe(self) -> str:
        return f'{type(self).__name__}({self.dataset.describe()})'

"""Reads image files for figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from torch import Tensor

from mmssl.datasets.bands import decode_bands, read_value_range
from mmssl.datasets.collate_views import stack_images
from mmssl.datasets.decode import decode_image
from mmssl.datasets.transforms.center_crop_view import CenterCropView
from mmssl.utils.errors import UserError


def read_squares(paths: Sequence[str], size: int, cfg: Config | None = None) -> Tensor:
    """Reads image files and returns their central squares, scaled to ``size`` pixels: uint8 (N, 3, size, size).

    Args:
        paths: Image files.
        size: Side of the squares in pixels.
        cfg: Config of the network that gets the images; files are read with the ``bands`` and the ``value_range`` of
            its datasets. With bands the result is (N, C, size, size), uint8 or uint16.

    Raises:
        UserError: A file does not exist or is not an image, or ``size`` is not positive.
    """
    if size < 1:
        raise UserError(f'size must be positive, got {size}')
    square, squares = CenterCropView(size), []
    for path in paths:
        if not Path(path).is_file():
            raise UserError(f'image {path!r} does not exist or is not a file')
        try:
            squares.append(square(_decode(Path(path).read_bytes(), cfg)))
        except ValueError as error:
            raise UserError(f'{path} cannot be shown: {error}') from error
    return stack_images(squares)


def _decode(data: bytes, cfg: Config | None) -> np.ndarray:
    loaders = [(cfg or {}).get(f'{name}_dataloader') or {} for name in ('test', 'val', 'train')]
    datasets = [loader.get('dataset') or {} for loader in loaders]
    for dataset in (dataset for key in ('bands', 'value_range') for dataset in datasets if dataset.get(key)):
        bands, measured = dataset.get('bands'), dataset.get('value_range')
        value_range = None if measured is None else read_value_range(measured, bands)
        return decode_bands(data, bands, value_range) if bands else decode_image(data, value_range)
    return decode_image(data)

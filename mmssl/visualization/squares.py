"""Reads image files for figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmssl.datasets.decode import decode_image
from mmssl.datasets.transforms.center_crop_view import CenterCropView
from mmssl.utils.errors import UserError


def read_squares(paths: Sequence[str], size: int) -> Tensor:
    """Reads image files and returns their central squares, scaled to ``size`` pixels: uint8 (N, 3, size, size).

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
            squares.append(square(decode_image(Path(path).read_bytes())))
        except ValueError as error:
            raise UserError(f'{path} cannot be shown: {error}') from error
    return torch.stack(squares)

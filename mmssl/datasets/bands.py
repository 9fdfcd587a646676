"""Decodes images of any number of bands: TIFF, NumPy arrays, DICOM, and every format that Pillow reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmssl.datasets.decode import UnreadableImageError
from mmssl.utils.errors import UserError

BAND_SUFFIXES = ('.npy', '.dcm', '.dicom')
"""Suffixes of images that only datasets with ``bands`` read."""

Ranges = tuple[float, float] | Sequence[tuple[float, float]]

_FULL = 65535
_TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')  # the last two are BigTIFF


def decode_bands(data: bytes, bands: int | Sequence[int], value_range: Ranges | None = None) -> np.ndarray:
    """Decodes an image file into its bands, without loss for samples of 8 and 16 bits.

    In an array of three dimensions the bands are the shortest axis, the last one of equal axes.

    Args:
        data: Content of the file: TIFF, ``.npy``, DICOM (with its rescaling), or another format of Pillow.
        bands: Number C of bands that the file must have, or the indices of C bands to take, in this order.
        value_range: Sample values that become 0 and the largest sample of 16 bits, for all bands or one pair for each
            of the C bands; other values are clipped. Needed for signed samples, floating point and 32 bits.

    Returns:
        (H, W, C), uint8 for samples of 8 bits without ``value_range``, else uint16.

    Raises:
        UnreadableImageError: The file is damaged, has other bands, or needs ``value_range``.
        UserError: The package that reads the format is not installed.
    """
    return np.ascontiguousarray(_scaled(read_bands(data, bands), value_range))


def read_bands(data: bytes, bands: int | Sequence[int]) -> np.ndarray:
    """Returns the samples (H, W, C) of an image file as they are stored, see ``decode_bands``."""
    try:
        samples = _bands_last(_samples(data))
    except (UnreadableImageError, UserError):
        raise
    except Exception as error:  # readers raise exceptions of any kind on damaged files
        raise UnreadableImageError(f'{type(error).__name__}: {error}') from error
    number = samples.shape[2]
    if isinstance(bands, int):
        if number != bands:
            raise UnreadableImageError(f'{number} bands instead of {bands}')
    elif max(bands) >= number:
        raise UnreadableImageError(f'{number} bands, so there is no band {max(bands)} (the first is 0)')
    else:
        samples = samples[..., list(bands)]
    return samples


def check_bands(bands: Any) -> int:
    """Returns the number of bands that the argument ``bands`` of a dataset means.

    Raises:
        ValueError: It is neither a positive number nor a list of indices.
    """
    if isinstance(bands, int) and not isinstance(bands, bool) and bands > 0:
        return bands
    if isinstance(bands, (list, tuple)) and bands and all(isinstance(i, int) and i >= 0 for i in bands):
        return len(bands)
    raise ValueError(f'bands must be the number of bands or the indices of the bands to take, got {bands!r}')


def read_value_range(value: Any, number: int | None) -> Any:
    """Returns a checked value range: one pair (black, white), or a list of one pair for each band.

    Args:
        value: Pair, list of pairs, or path of a file that ``tools/misc/measure_images.py`` wrote.
        number: Number of bands; None for RGB, which has one pair.

    Raises:
        ValueError: The range is not a pair with black < white, or there is another number of pairs than bands.
        FileNotFoundError: The file does not exist.
    """
    if isinstance(value, (str, Path)):
        value = json.loads(Path(value).expanduser().read_text())['value_range']
    pairs = list(value) if isinstance(value[0], (list, tuple)) else [value]
    if any(len(pair) != 2 or not pair[0] < pair[1] for pair in pairs):
        raise ValueError(f'value_range must be (black, white) with black < white, got {value}')
    if len(pairs) > 1 and len(pairs) != number:
        raise ValueError(f'value_range has {len(pairs)} pairs for {number or "RGB: give one pair, or set bands"} bands')
    return [tuple(pair) for pair in pairs] if len(pairs) > 1 else tuple(pairs[0])


def _samples(data: bytes) -> np.ndarray:
    if data.startswith(b'\x93NUMPY'):
        return np.load(BytesIO(data), allow_pickle=False)
    if data.startswith(_TIFF):
        return _reader('tifffile').imread(BytesIO(data))
    if data[128:132] == b'DICM':
        content = _reader('pydicom').dcmread(BytesIO(data))
        slope, intercept = (float(content.get(name, default)) for name, default in _RESCALING)
        pixels = content.pixel_array
        return pixels if (slope, intercept) == (1, 0) else pixels * np.float32(slope) + np.float32(intercept)
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


_RESCALING = (('RescaleSlope', 1), ('RescaleIntercept', 0))


def _reader(package: str) -> Any:
    try:
        return __import__(package)
    except ImportError as error:
        raise UserError(f'images of this format need the package {package}: pip install {package}') from error


def _bands_last(samples: np.ndarray) -> np.ndarray:
    if samples.ndim == 2:
        return samples[..., None]
    if samples.ndim != 3:
        raise UnreadableImageError(f'an array of shape {samples.shape} is not an image: it needs 2 or 3 dimensions')
    axis = 2 - int(np.argmin(samples.shape[::-1]))
    return np.moveaxis(samples, axis, 2)


def _scaled(samples: np.ndarray, value_range: Ranges | None) -> np.ndarray:
    if value_range is None:
        if samples.dtype in (np.uint8, np.uint16):
            return samples
        raise UnreadableImageError(
            f'{samples.dtype} samples ({samples.min():g} to {samples.max():g}) have no defined range: set value_range='
            '(black, white) of the dataset, or measure it with tools/misc/measure_images.py'
        )
    low, high = (np.array(ends, np.float64) for ends in zip(*np.reshape(np.array(value_range, np.float64), (-1, 2))))
    scaled = (samples.astype(np.float64) - low) * (_FULL / (high - low))
    if np.isnan(scaled).any():
        raise UnreadableImageError('samples are NaN')
    return scaled.round().clip(0, _FULL).astype(np.uint16)

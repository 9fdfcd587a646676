"""Decodes images of any number of bands: TIFF, NumPy arrays, DICOM, and every format that Pillow reads."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from mmssl.datasets.decode import UnreadableImageError, decode_deep_png, is_deep_png, pixel_limit, unknown_format
from mmssl.utils.errors import UserError

BAND_SUFFIXES = ('.npy', '.dcm', '.dicom')
"""Suffixes of images that only datasets with ``bands`` read."""

Ranges = tuple[float, float] | Sequence[tuple[float, float]]

_FULL = 65535
_MIN_IS_WHITE, _PALETTE = 0, 3  # values of TIFF's tag PhotometricInterpretation
_TIFF = (b'II*\0', b'MM\0*', b'II+\0', b'MM\0+')  # the last two are BigTIFF


def decode_bands(data: bytes, bands: int | Sequence[int], value_range: Ranges | None = None) -> np.ndarray:
    """Decodes an image file into its bands, without loss for samples of 8 and 16 bits.

    In an array of three dimensions the bands are the axis whose length is the number ``bands``; with indices of bands
    the shortest axis, the last one of three equal axes. Palettes become red, green and blue. Samples of which the
    smallest is white (TIFF's MinIsWhite, DICOM's MONOCHROME1) are inverted, so that large samples are bright in every
    file: x becomes 65535 - x for 16 bits, and 4095 - x where DICOM stores 12 of them. ``value_range`` applies after
    that. No orientation tag is applied.

    Args:
        data: Content of the file: TIFF, ``.npy``, DICOM (with its rescaling), PNG, or another format of Pillow, which
            reduces colours of 16 bits to 8.
        bands: Number C of bands that the file must have, or the indices of C bands to take, in this order.
        value_range: Sample values that become 0 and the largest sample of 16 bits, for all bands or one pair for each
            of the C bands; other values are clipped. Needed for signed samples, floating point and 32 bits.

    Returns:
        (H, W, C), uint8 for samples of 8 bits without ``value_range``, else uint16.

    Raises:
        UnreadableImageError: The file is damaged, has other bands, or needs ``value_range``.
        UserError: The package that reads the format is not installed.
    """
    samples = np.ascontiguousarray(_scaled(read_bands(data, bands), value_range))
    return samples if samples.flags.writeable else samples.copy()  # torch warns of memory that it may not write


def read_bands(data: bytes, bands: int | Sequence[int]) -> np.ndarray:
    """Returns the samples (H, W, C) of an image file as they are stored, see ``decode_bands``."""
    try:
        samples = _bands_last(_samples(data), bands)
    except (UnreadableImageError, UserError):
        raise
    except UnidentifiedImageError as error:
        raise UnreadableImageError(unknown_format(data)) from error
    except Exception as error:  # readers raise exceptions of any kind on damaged files
        raise UnreadableImageError(f'{type(error).__name__}: {error}') from error
    if not samples.size or samples.dtype.kind not in 'buif':
        raise UnreadableImageError(f'an array of shape {samples.shape} and type {samples.dtype} is not an image')
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


def read_value_range(value: Any, bands: int | Sequence[int] | None) -> Any:
    """Returns a checked value range: one pair (black, white), or a list of one pair for each band.

    Args:
        value: Pair, list of pairs, or path of a file that ``tools/misc/measure_images.py`` wrote.
        bands: Argument ``bands`` of the dataset; None for RGB, which has one pair.

    Raises:
        ValueError: The range is not a pair with black < white, there is another number of pairs than bands, or the file
            was measured with other bands.
        UserError: The file does not exist, or is another one.
    """
    if isinstance(value, (str, Path)):
        file = value
        value, measured = read_measured(file, 'value_range', 'bands')
        if bands is not None and _indices(measured) != _indices(bands):
            raise ValueError(
                f'{file} was measured with bands={measured}, and the dataset has bands={bands}: they must agree'
            )
    try:
        pairs = [(float(black), float(white)) for black, white in (value if np.ndim(value) > 1 else [value])]
    except (TypeError, ValueError):
        pairs = []
    if not pairs or not all(-math.inf < black < white < math.inf for black, white in pairs):
        raise ValueError(f'value_range must be (black, white), finite, with black < white, got {value}')
    if len(pairs) > 1 and (bands is None or len(pairs) != check_bands(bands)):
        wanted = 'RGB: give one pair, or set bands' if bands is None else f'{check_bands(bands)} bands'
        raise ValueError(f'value_range has {len(pairs)} pairs for {wanted}')
    return pairs if len(pairs) > 1 else pairs[0]


def _indices(bands: int | Sequence[int]) -> list[int]:
    return list(range(bands)) if isinstance(bands, int) else list(bands)


def read_measured(file: str | Path, *keys: str, optional: Sequence[str] = ()) -> list[Any]:
    """Returns what a file of ``tools/misc/measure_images.py`` has for each key, see ``measure_images``.

    Args:
        file: Path of the file.
        *keys: Keys that the file must have.
        optional: Further keys, for which the result is None if the file does not have them.

    Raises:
        UserError: The file does not exist, or is another one.
    """
    try:
        measured = json.loads(Path(file).expanduser().read_text())
    except (OSError, ValueError) as error:
        measured, reason = {}, str(error)
    else:
        reason = f'it has no {" and ".join(keys)}'
    if not isinstance(measured, dict) or not set(keys) <= measured.keys():
        raise UserError(f'{file} is not a file of tools/misc/measure_images.py ({reason}): write it with this tool')
    return [measured.get(key) for key in (*keys, *optional)]


def _samples(data: bytes) -> np.ndarray:
    if data.startswith(b'\x93NUMPY'):
        return np.load(BytesIO(data), allow_pickle=False)
    if data[128:132] == b'DICM':
        return _dicom_samples(data)
    if data.startswith(_TIFF):
        with _reader('tifffile').TiffFile(BytesIO(data)) as file:
            kind = file.pages[0].photometric
            if kind != _PALETTE:
                samples = _tiff_samples(file)
                return _inverted(samples) if kind == _MIN_IS_WHITE else samples
    if is_deep_png(data):
        return decode_deep_png(data)
    with pixel_limit(), Image.open(BytesIO(data)) as image:
        if image.mode == 'I' and image.format == 'PPM':  # 16 bits, which Pillow holds in 32
            return np.asarray(image).astype(np.uint16)
        return np.asarray(image.convert('RGB') if image.mode in ('P', 'PA') else image)


def _tiff_samples(file: Any) -> np.ndarray:
    """Returns the first image of a TIFF, or all of them if they are planes of one shape and type, as (C, H, W)."""
    planes = {(series.shape, series.dtype) for series in file.series}
    try:
        if len(planes) == 1 and len(file.series) > 1 and file.series[0].ndim == 2:
            return np.stack([series.asarray() for series in file.series])
        return file.asarray()
    except (NotImplementedError, ValueError) as error:
        if 'imagecodecs' not in str(error):
            raise
        page = file.pages[0]
        kind = (
            f'compressed ({page.compression.name})' if page.compression > 1 else f'packed ({page.bitspersample} bits)'
        )
        raise UserError(
            f'this TIFF is {kind} in a way that tifffile reads with the package imagecodecs: pip install imagecodecs'
        ) from error


def _dicom_samples(data: bytes) -> np.ndarray:
    content = _reader('pydicom').dcmread(BytesIO(data))
    kind, samples = content.get('PhotometricInterpretation'), content.pixel_array
    if kind == 'PALETTE COLOR':
        from pydicom.pixels import apply_color_lut

        return apply_color_lut(samples, content)
    if kind == 'MONOCHROME1':
        samples = _inverted(samples, content.BitsStored)
    slope, intercept = (
        float(default if content.get(name) in (None, '') else content.get(name)) for name, default in _RESCALING
    )
    return samples if (slope, intercept) == (1, 0) else samples * np.float32(slope) + np.float32(intercept)


def _inverted(samples: np.ndarray, bits: int | None = None) -> np.ndarray:
    """Exchanges the smallest and the largest integer of ``bits`` bits, or of the type, the next ones, and so on."""
    if samples.dtype.kind == 'f':
        return samples
    return ~samples & np.array(2**bits - 1, samples.dtype) if bits and samples.dtype.kind == 'u' else ~samples


_RESCALING = (('RescaleSlope', 1), ('RescaleIntercept', 0))


def _reader(package: str) -> Any:
    try:
        return __import__(package)
    except ImportError as error:
        raise UserError(f'images of this format need the package {package}: pip install {package}') from error


def _bands_last(samples: np.ndarray, bands: int | Sequence[int]) -> np.ndarray:
    if samples.ndim == 2:
        return samples[..., None]
    if samples.ndim != 3:
        raise UnreadableImageError(f'an array of shape {samples.shape} is not an image: it needs 2 or 3 dimensions')
    shortest = [axis for axis in (2, 1, 0) if samples.shape[axis] == min(samples.shape)]
    if isinstance(bands, int):
        shortest = [axis for axis in (*shortest, 2, 1, 0) if samples.shape[axis] == bands] or shortest
    elif len(shortest) == 2:
        raise UnreadableImageError(
            f'an array of shape {samples.shape} does not tell which axis holds the bands: give bands as a number, or '
            'store the bands to take'
        )
    return np.moveaxis(samples, shortest[0], 2)


def _scaled(samples: np.ndarray, value_range: Ranges | None) -> np.ndarray:
    if value_range is None:
        if samples.dtype.kind == 'u' and samples.dtype.itemsize <= 2:
            return samples.astype(samples.dtype.newbyteorder('='), copy=False)
        raise UnreadableImageError(
            f'{samples.dtype} samples ({samples.min():g} to {samples.max():g}) have no defined range: set value_range='
            '(black, white) of the dataset, or measure it with tools/misc/measure_images.py'
        )
    low, high = (np.array(ends, np.float64) for ends in zip(*np.reshape(np.array(value_range, np.float64), (-1, 2))))
    scaled = (samples.astype(np.float64) - low) * (_FULL / (high - low))
    if np.isnan(scaled).any():
        raise UnreadableImageError('samples are NaN')
    return scaled.round().clip(0, _FULL).astype(np.uint16)

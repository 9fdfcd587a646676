"""Decodes image files of any mode into uint8 RGB."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

_PNG_HEAD, _PNG_TAIL = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
_PNG_BANDS = {0: [0], 2: [2, 1, 0], 4: [0, 3], 6: [2, 1, 0, 3]}  # colour type -> place in OpenCV's order of bands
_JPEG_HEAD, _JPEG_TAIL = b'\xff\xd8', b'\xff\xd9'
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame; the three others mark tables
_MAX_PIXELS = 2**29  # half of OpenCV's limit, because Pillow refuses images of more than twice this number
_PHOTOMETRIC = 262  # TIFF's tag PhotometricInterpretation; for 0 the smallest sample is white
_DIM = 4096  # a 16-bit image without a sample of at least this value probably holds data of fewer bits


class UnreadableImageError(ValueError):
    """The bytes are not a complete image, or the range of the samples is not known."""


def decode_image(data: bytes, value_range: tuple[float, float] | None = None) -> np.ndarray:
    """Decodes an image file into RGB.

    Grey, palette and CMYK images become RGB, and transparency is dropped. An animation gives its first picture. The
    EXIF orientation is not applied, as in torchvision's loaders and in every published recipe, but that of a TIFF is,
    because Pillow and OpenCV apply it. Samples of 16 bits are scaled from 0-65535 to 0-255. Two kinds
    of images need ``value_range``: 16-bit images without a sample of at least 4096 (such as 12-bit data), which would
    be nearly black, and samples without a defined range (signed, 32 bits, floating point).

    Args:
        data: Content of the file, in any format that Pillow reads.
        value_range: Sample values that become 0 and 255, for samples of more than 8 bits; other values are clipped to
            this range. 8-bit images do not change.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        UnreadableImageError: The file is damaged or truncated, has more than 2**30 pixels, or needs ``value_range``.
    """
    try:
        if _has_fast_path(data):
            return _decode_fast(data)
        with pixel_limit(), Image.open(BytesIO(data)) as image:
            samples = _deep_samples(image, data)
            return _to_rgb(image) if samples is None else _scaled(image, samples, value_range)
    except UnreadableImageError:
        raise
    except UnidentifiedImageError as error:
        if data[:2] in (b'II', b'MM'):
            raise UnreadableImageError(
                'a TIFF that Pillow does not read, such as one with many bands or with colours in floating point: '
                'set bands of the dataset'
            ) from error
        raise UnreadableImageError(unknown_format(data)) from error
    except Exception as error:  # on damaged files Pillow's plugins raise exceptions of any kind
        raise UnreadableImageError(f'{type(error).__name__}: {error}') from error


def unknown_format(data: bytes) -> str:
    """Returns the message for a file that no reader knows."""
    return f'not an image file of a known format: {f"it begins with {data[:16]!r}" if data else "it is empty"}'


@contextmanager
def pixel_limit() -> Iterator[None]:
    """Gives Pillow the limit of OpenCV; Pillow warns above ``MAX_IMAGE_PIXELS`` and refuses above twice as many."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, _MAX_PIXELS
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _has_fast_path(data: bytes) -> bool:
    """Returns True for a complete JPEG or PNG with 8-bit grey or RGB samples, which OpenCV decodes like Pillow.

    OpenCV fills the missing part of a truncated JPEG with grey without an error. So a file without the end marker is
    decoded by Pillow, which reports the error. The headers are parsed here because opening a file with Pillow takes a
    tenth of the decoding time.
    """
    if data.startswith(_PNG_HEAD):
        is_animated = data.find(b'acTL', 0, data.find(b'IDAT')) > 0  # OpenCV may return its second picture
        return data.endswith(_PNG_TAIL) and data[24] == 8 and data[25] in (0, 2) and not is_animated
    return jpeg_shape(data) is not None


def jpeg_shape(data: bytes) -> tuple[int, int] | None:
    """Returns height and width of a complete JPEG with 8-bit grey or RGB samples, None for any other file."""
    if not data.startswith(_JPEG_HEAD) or not data.endswith(_JPEG_TAIL):
        return None
    position = len(_JPEG_HEAD)
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _FRAME_MARKERS:  # marker, length of 2 bytes, bits, height, width, channels
            bits, height, width, channels = struct.unpack_from('>BHHB', data, position + 4)
            return (height, width) if bits == 8 and channels in (1, 3) else None
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return None


def decode_reduced(data: bytes, divisor: int) -> np.ndarray:
    """Decodes a JPEG that ``jpeg_shape`` knows at 1/2, 1/4 or 1/8 of its size.

    The decoder leaves high frequencies out of the inverse cosine transform, so the image is computed at the smaller
    size.

    Args:
        data: Content of the file.
        divisor: 2, 4 or 8.

    Returns:
        uint8 (ceil(H / divisor), ceil(W / divisor), 3), RGB.

    Raises:
        UnreadableImageError: The file is damaged.
    """
    return _decode_fast(data, getattr(cv2, f'IMREAD_REDUCED_COLOR_{divisor}'))


def _decode_fast(data: bytes, color: int = cv2.IMREAD_COLOR) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), color | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise UnreadableImageError('the file header is valid but the contents are damaged')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def is_deep_png(data: bytes) -> bool:
    """Returns whether a file is a PNG with samples of 16 bits."""
    return data.startswith(_PNG_HEAD) and data[24:25] == b'\x10'


def decode_deep_png(data: bytes) -> np.ndarray:
    """Decodes a PNG with samples of 16 bits, of which Pillow would only keep the upper byte in colours.

    Returns:
        uint16 (H, W, C): grey or red, green and blue, and alpha if the file has it.

    Raises:
        UnreadableImageError: The file is damaged.
    """
    samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if samples is None:
        raise UnreadableImageError('the file header is valid but the contents are damaged')
    return np.atleast_3d(samples)[..., _PNG_BANDS[data[25]]]


def _deep_samples(image: Image.Image, data: bytes) -> np.ndarray | None:
    """Returns the samples, (H, W) or (H, W, 3), if they are not unsigned bytes, else None."""
    bits, signed = _sample_format(image, data)
    if len(image.getbands()) > 1:  # OpenCV decodes, because Pillow only keeps the upper byte of 16-bit colours
        if bits <= 8:
            return None
        samples = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        if samples is None:
            raise UnreadableImageError(f'colour samples of {bits} bits that OpenCV cannot read')
        return samples[..., 2::-1] if samples.ndim == 3 else samples
    if image.mode == 'F':
        return np.asarray(image)
    if image.mode.startswith('I'):
        samples = np.asarray(image)
        if bits <= 16 and not signed:
            return samples.astype(np.uint16)
        return samples if signed else samples.view(np.uint32)
    return np.asarray(image).view(np.int8) if signed else None


def _sample_format(image: Image.Image, data: bytes) -> tuple[int, bool]:
    """Returns the number of bits per sample, and True if samples are signed."""
    if isinstance(image, TiffImageFile):
        bits, formats = (image.tag_v2.get(tag, (default,)) for tag, default in ((258, 1), (339, 1)))
        return max(bits), 2 in formats
    if image.format == 'PNG':
        return data[24], False
    return (16 if image.mode.startswith('I') else 8), False


def _scaled(image: Image.Image, samples: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Scales the samples of an image, see ``_scale``, and inverts them if the smallest is white."""
    pixels = _scale(samples, value_range)
    min_is_white = isinstance(image, TiffImageFile) and image.tag_v2.get(_PHOTOMETRIC) == 0
    return 255 - pixels if min_is_white else pixels


def _scale(samples: np.ndarray, value_range: tuple[float, float] | None) -> np.ndarray:
    """Scales samples of ``value_range`` (default: 16 bits) to bytes: uint8 (H, W, 3)."""
    largest = samples.max()
    if value_range is None:
        if samples.dtype != np.uint16:
            kind = {'f': 'floating point', 'i': 'signed'}.get(samples.dtype.kind, f'{8 * samples.itemsize}-bit')
            raise UnreadableImageError(
                f'{kind} samples ({samples.min():g} to {largest:g}) have no defined range: set value_range=(black, '
                'white) of the dataset, or store the image with 8 or 16 bits'
            )
        if 0 < largest < _DIM:
            raise UnreadableImageError(
                f'the largest 16-bit sample is {largest}, so the image would be nearly black: set '
                'value_range=(black, white) of the dataset, such as (0, 4095) for 12 bits'
            )
        value_range = 0, 65535
    low, high = value_range
    scaled = ((samples.astype(np.float64) - low) * (255 / (high - low))).round().clip(0, 255)
    if not np.isfinite(scaled).all():
        raise UnreadableImageError('samples are NaN')
    pixels = scaled.astype(np.uint8)
    return np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else np.ascontiguousarray(pixels)


def convert_picture(image: Image.Image) -> np.ndarray:
    """Converts a Pillow image into RGB, with the rules of ``decode_image``: uint8 (H, W, 3).

    Raises:
        UnreadableImageError: The samples have no defined range, or would be nearly black.
    """
    if image.mode != 'F' and not image.mode.startswith('I'):
        return _to_rgb(image)
    samples = np.asarray(image)
    if isinstance(image, TiffImageFile):
        bits, signed = _sample_format(image, b'')
        is_16_bit = bits <= 16 and not signed
    else:  # the mode I of a file of another format has 16 bits, and 32 bits in memory
        is_16_bit = image.mode != 'I' or image.format is not None
    return _scaled(image, samples.astype(np.uint16) if image.mode != 'F' and is_16_bit else samples, None)


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == 'P':
        image = image.convert('RGBA')  # Pillow cannot convert a palette with transparency to RGB directly
    return np.array(image.convert('RGB'))

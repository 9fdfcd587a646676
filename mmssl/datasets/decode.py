"""Bytes of an image file -> uint8 RGB, whatever the file's mode."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

_PNG_HEAD, _PNG_TAIL = b'\x89PNG\r\n\x1a\n', b'IEND\xaeB`\x82'
_JPEG_HEAD, _JPEG_TAIL = b'\xff\xd8', b'\xff\xd9'
_FRAME_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame; the three are tables


class UnreadableImageError(ValueError):
    """The bytes are no complete image of a kind that can be shown in eight bits."""


def decode_image(data: bytes) -> np.ndarray:
    """Decodes an image file into RGB.

    Grey and palette images become RGB, transparency is dropped, CMYK is converted, and 16-bit samples are scaled to
    0-255. The EXIF orientation is not applied, as in torchvision's loaders and in every published recipe.

    Args:
        data: The whole file, of any format that Pillow reads.

    Returns:
        uint8 (H, W, 3), RGB.

    Raises:
        UnreadableImageError: The file is damaged, truncated or of a kind without a defined range (float samples).
    """
    try:
        if _has_fast_path(data):
            return _decode_fast(data)
        with Image.open(BytesIO(data)) as image:
            return _to_rgb(image)
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
        raise UnreadableImageError(f'{type(error).__name__}: {error}') from error


def _has_fast_path(data: bytes) -> bool:
    """Whether this is a complete JPEG or PNG with 8-bit grey or RGB samples: OpenCV decodes these as Pillow does.

    OpenCV fills the missing part of a truncated JPEG with grey and goes on, so a file with another end takes Pillow's
    path, which reports it. The headers are read here because opening a file with Pillow takes a tenth of decoding it.
    """
    if data.startswith(_PNG_HEAD):
        return data.endswith(_PNG_TAIL) and data[24] == 8 and data[25] in (0, 2)
    return data.startswith(_JPEG_HEAD) and data.endswith(_JPEG_TAIL) and _jpeg_components(data) in (1, 3)


def _jpeg_components(data: bytes) -> int:
    """Returns the number of channels of an 8-bit JPEG, 0 where its header is another one."""
    position = len(_JPEG_HEAD)
    while position + 9 < len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _FRAME_MARKERS:  # marker, length of 2 bytes, bits, height, width, channels
            return data[position + 9] if data[position + 4] == 8 else 0
        position += 1 if marker == 0xFF else 2 + int.from_bytes(data[position + 2 : position + 4], 'big')
    return 0


def _decode_fast(data: bytes) -> np.ndarray:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    if image is None:
        raise UnreadableImageError('the file header is right and its contents are damaged')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB, dst=image)


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode == 'F':
        raise UnreadableImageError('float samples have no defined range; store the image with 8 or 16 bits')
    if image.mode.startswith('I'):  # I;16 and its byte orders, or 16 bits in 32
        samples = np.asarray(image).astype(np.int64).clip(0, 65535)
        return np.repeat(((samples * 255 + 32767) // 65535).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode == 'P':
        image = image.convert('RGBA')  # a palette with transparency has no direct way to RGB
    return np.array(image.convert('RGB'))

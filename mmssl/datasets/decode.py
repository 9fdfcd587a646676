"""Bytes of an image file -> uint8 RGB, whatever the file's mode."""

from __future__ import annotations

from io import BytesIO

import cv2
import numpy as np
from PIL import Image

# What the last bytes of a complete file are. OpenCV fills the missing part of a truncated JPEG with grey and goes on,
# so a file with another end takes Pillow's path, which reports a truncated image as such.
_COMPLETE = {'JPEG': b'\xff\xd9', 'PNG': b'IEND\xaeB`\x82'}


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
        with Image.open(BytesIO(data)) as image:
            if image.mode in ('RGB', 'L') and data.endswith(_COMPLETE.get(image.format, b'\0no fast path')):
                return _decode_fast(data)
            return _to_rgb(image)
    except Exception as error:  # Pillow's plugins raise whatever a damaged file makes them stumble over
        raise UnreadableImageError(f'{type(error).__name__}: {error}') from error


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

"""Decoding: every mode becomes RGB of the right values, damage is noticed."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mmssl.datasets.decode import UnreadableImageError, decode_image

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (12, 10, 3), dtype=np.uint8)
SMOOTH = np.linspace(0, 255, 24 * 24 * 3).reshape(24, 24, 3).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **kwargs) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **kwargs)
    return buffer.getvalue()


@pytest.mark.parametrize('kind', ['PNG', 'BMP', 'TIFF', 'PPM'])
def test_rgb_without_loss(kind: str) -> None:
    decoded = decode_image(encoded(Image.fromarray(PIXELS), kind))
    assert decoded.dtype == np.uint8
    np.testing.assert_array_equal(decoded, PIXELS)


@pytest.mark.parametrize('progressive', [False, True])
def test_jpeg_equals_pillow(progressive: bool) -> None:
    data = encoded(Image.fromarray(SMOOTH), 'JPEG', quality=95, progressive=progressive)
    expected = np.asarray(Image.open(BytesIO(data)).convert('RGB')).astype(int)
    assert np.abs(decode_image(data).astype(int) - expected).max() <= 1  # two builds of libjpeg


@pytest.mark.parametrize('kind', ['PNG', 'JPEG'])
def test_grey(kind: str) -> None:
    grey = Image.fromarray(SMOOTH[..., 0])
    data = encoded(grey, kind)
    expected = np.asarray(Image.open(BytesIO(data)))
    np.testing.assert_array_equal(decode_image(data), np.repeat(expected[..., None], 3, 2))


def test_one_bit() -> None:
    bits = PIXELS[..., 0] > 127
    np.testing.assert_array_equal(decode_image(encoded(Image.fromarray(bits), 'PNG'))[..., 0], bits * 255)


def test_palette_with_and_without_transparency() -> None:
    palette = Image.fromarray(PIXELS).quantize(16)
    expected = np.asarray(palette.convert('RGB'))
    np.testing.assert_array_equal(decode_image(encoded(palette, 'PNG')), expected)
    np.testing.assert_array_equal(decode_image(encoded(palette, 'PNG', transparency=bytes(range(16)))), expected)
    np.testing.assert_array_equal(decode_image(encoded(palette, 'GIF')), expected)


@pytest.mark.parametrize('mode', ['RGBA', 'LA'])
def test_transparency_is_dropped(mode: str) -> None:
    image = Image.fromarray(PIXELS).convert(mode)
    image.putalpha(7)
    np.testing.assert_array_equal(decode_image(encoded(image, 'PNG')), np.asarray(image.convert('RGB')))


def test_cmyk() -> None:
    data = encoded(Image.fromarray(SMOOTH).convert('CMYK'), 'JPEG', quality=95)
    expected = np.asarray(Image.open(BytesIO(data)).convert('RGB'))
    np.testing.assert_array_equal(decode_image(data), expected)
    assert np.abs(expected.astype(int) - SMOOTH).mean() < 6  # neither inverted nor swapped


@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
def test_sixteen_bits_are_scaled(kind: str) -> None:
    samples = np.array([[0, 128, 257, 32768, 65535]], np.uint16)
    decoded = decode_image(encoded(Image.fromarray(samples), kind))
    np.testing.assert_array_equal(decoded, np.repeat([[[0], [0], [1], [128], [255]]], 3, 2))


def test_orientation_tag_is_not_applied() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    assert decode_image(encoded(Image.fromarray(PIXELS), 'JPEG', exif=exif)).shape == PIXELS.shape


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'no image at all',
        encoded(Image.fromarray(SMOOTH), 'JPEG')[:-100],
        encoded(Image.fromarray(PIXELS), 'PNG')[:-40],
        encoded(Image.fromarray(PIXELS), 'PNG')[:60] + b'\0' * 40 + encoded(Image.fromarray(PIXELS), 'PNG')[100:],
        encoded(Image.fromarray(PIXELS[..., 0].astype(np.float32)), 'TIFF'),
    ],
    ids=['empty', 'text', 'truncated jpeg', 'truncated png', 'damaged png', 'float'],
)
def test_damage_is_an_error(data: bytes) -> None:
    with pytest.raises(UnreadableImageError):
        decode_image(data)

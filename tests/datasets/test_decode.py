"""Decoding: every mode becomes RGB of the right values, damage is noticed."""

from io import BytesIO

import cv2
import numpy as np
import pytest
import tifffile
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


def tiff(samples: np.ndarray, **options) -> bytes:
    buffer = BytesIO()
    tifffile.imwrite(buffer, samples, **options)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (tiff(np.array([[0, 70_000]], np.int32)), r'signed samples \(0 to 70000\)'),
        (tiff(np.array([[0, 4_000_000_000]], np.uint32)), r'32-bit samples \(0 to 4e\+09\)'),
        (tiff(np.array([[-500, 300]], np.int16)), r'signed samples \(-500 to 300\)'),
        (tiff(np.array([[-50, 30]], np.int8)), r'signed samples \(-50 to 30\)'),
        (tiff(np.array([[0, 1]], np.float32)), 'floating point samples'),
        (encoded(Image.fromarray(np.array([[0, 4095]], np.uint16)), 'PNG'), '16-bit sample is 4095'),
        (cv2.imencode('.png', np.full((4, 4, 3), 4080, np.uint16))[1].tobytes(), '16-bit sample is 4080'),
        (tiff(np.full((4, 4, 3), 4080, np.uint16), photometric='rgb'), '16-bit sample is 4080'),
    ],
    ids=['int32', 'uint32', 'int16', 'int8', 'float', '12-bit grey', '12-bit colour', '12-bit colour tiff'],
)
def test_samples_without_a_known_range_are_refused_until_it_is_given(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableImageError, match=message + '.*set value_range='):
        decode_image(data)
    assert (decode_image(data, value_range=(-1e15, 0.99e15)) == 128).all()


def test_the_given_range_becomes_black_to_white() -> None:
    signed = tiff(np.array([[-2000, -1000, 0, 1000, 2000]], np.int16))
    assert decode_image(signed, value_range=(-1000, 1000))[0, :, 0].tolist() == [0, 0, 128, 255, 255]
    large = tiff(np.array([[0, 2**31, 2**32 - 1]], np.uint32))
    assert decode_image(large, value_range=(0, 2**32 - 1))[0, :, 1].tolist() == [0, 128, 255]
    colour = np.array([[[4095, 2048, 0]]], np.uint16)
    assert decode_image(cv2.imencode('.png', colour[..., ::-1])[1].tobytes(), (0, 4095)).tolist() == [[[255, 128, 0]]]
    assert decode_image(tiff(colour, photometric='rgb'), (0, 4095)).tolist() == [[[255, 128, 0]]]
    black = encoded(Image.fromarray(np.zeros((2, 2), np.uint16)), 'PNG')
    assert not decode_image(black).any()  # black in every range
    plain = encoded(Image.fromarray(PIXELS), 'PNG')
    np.testing.assert_array_equal(decode_image(plain, (0, 4095)), decode_image(plain))


@pytest.mark.parametrize('kind', ['PNG', 'TIFF'])
def test_the_limit_of_pixels_does_not_depend_on_the_format(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(Image.new('L', (1000, 1000)), kind)
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 1000)  # Pillow's own, for other code
    assert decode_image(data).shape == (1000, 1000, 3)
    assert Image.MAX_IMAGE_PIXELS == 1000


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_the_smallest_sample_is_white_if_the_file_says_so(dtype: type) -> None:
    grey = np.linspace(0, np.iinfo(dtype).max, 60).reshape(6, 10).astype(dtype)
    buffer = BytesIO()
    tifffile.imwrite(buffer, grey, photometric='miniswhite')
    decoded = decode_image(buffer.getvalue())[..., 0]
    assert decoded[0, 0] == 255 and decoded[-1, -1] == 0 and (np.diff(decoded.ravel().astype(int)) < 0).all()


def test_an_animation_gives_its_first_picture() -> None:
    pictures = [Image.fromarray(pixels) for pixels in (PIXELS, 255 - PIXELS, PIXELS // 2)]
    for default in (False, True):
        data = encoded(pictures[0], 'PNG', save_all=True, append_images=pictures[1:], default_image=default)
        np.testing.assert_array_equal(decode_image(data), PIXELS)


def test_the_orientation_is_applied_to_a_tiff_only() -> None:
    exif = Image.Exif()
    exif[274] = 6  # turn by 90 degrees
    for kind, shape in dict(PNG=(12, 10), JPEG=(12, 10), TIFF=(10, 12)).items():
        assert decode_image(encoded(Image.fromarray(PIXELS), kind, exif=exif)).shape == (*shape, 3)


def test_a_tiff_of_other_bands_says_what_to_do() -> None:
    buffer = BytesIO()
    tifffile.imwrite(buffer, PIXELS / np.float32(255), photometric='rgb')
    with pytest.raises(UnreadableImageError, match='colours in floating point: set bands of the dataset'):
        decode_image(buffer.getvalue())

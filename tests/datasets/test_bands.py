"""Images with bands: TIFF, NumPy and DICOM, their ranges, views and statistics."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from mmssl.datasets.bands import decode_bands, read_value_range
from mmssl.datasets.class_folder import ClassFolder
from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.image_folder import ImageFolder
from mmssl.datasets.measure import measure_images
from mmssl.datasets.transforms.geometry import resize
from mmssl.utils.errors import UserError

BANDS = np.random.default_rng(0).integers(0, 4096, (20, 24, 5)).astype(np.uint16)


def npy(array: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, array)
    return file.getvalue()


def tiff(array: np.ndarray) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, array)
    return file.getvalue()


@pytest.mark.parametrize('write', [npy, tiff])
def test_bands_of_16_bits_are_kept_in_either_order(write) -> None:
    for stored in (BANDS, BANDS.transpose(2, 0, 1)):
        image = decode_bands(write(stored), 5)
        assert image.dtype == np.uint16 and np.array_equal(image, BANDS)
    assert np.array_equal(decode_bands(write(BANDS), [4, 0]), BANDS[..., [4, 0]])


def test_the_number_of_bands_tells_their_axis() -> None:
    """A patch of a hyperspectral image has more bands than rows."""
    patch = np.random.default_rng(0).integers(0, 9, (16, 16, 40)).astype(np.uint16)
    for stored in (patch, patch.transpose(2, 0, 1)):
        assert np.array_equal(decode_bands(npy(stored), 40), patch)
    with pytest.raises(UnreadableImageError, match=r'shape \(16, 16, 40\) does not tell .* bands as a number'):
        decode_bands(npy(patch), [0, 30])


def test_other_formats_have_bands_too() -> None:
    file = BytesIO()
    Image.fromarray(BANDS[..., :3].astype(np.uint8)).save(file, 'png')
    image = decode_bands(file.getvalue(), 3)
    assert image.flags.writeable  # else torch warns
    assert image.dtype == np.uint8 and np.array_equal(image, BANDS[..., :3].astype(np.uint8))


def test_grey_of_16_bits_in_a_portable_map() -> None:
    grey = BANDS[..., 0]
    data = b'P5 %d %d 65535\n' % grey.shape[::-1] + grey.astype('>u2').tobytes()
    assert np.array_equal(decode_bands(data, 1)[..., 0], grey)


def test_pages_that_were_written_one_by_one_are_bands() -> None:
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for band in range(5):
            writer.write(BANDS[..., band])
    assert np.array_equal(decode_bands(file.getvalue(), 5), BANDS)
    file = BytesIO()
    with tifffile.TiffWriter(file) as writer:  # a pyramid has one image in several sizes
        for step in (1, 2):
            writer.write(BANDS[::step, ::step, 0])
    assert np.array_equal(decode_bands(file.getvalue(), 1), BANDS[..., :1])


def test_a_compressed_tiff_names_the_package_that_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(file: object) -> None:
        raise ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffFile, 'asarray', needs)
    with pytest.raises(UserError, match='pip install imagecodecs'):
        decode_bands(tiff(BANDS), 5)


def test_packed_samples_name_the_package_that_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    def needs(file: object) -> None:
        raise NotImplementedError("packints_decode of 12-bit integers requires the 'imagecodecs' package")

    monkeypatch.setattr(tifffile.TiffFile, 'asarray', needs)
    with pytest.raises(UserError, match=r'this TIFF is packed \(16 bits\) in a way .*pip install imagecodecs'):
        decode_bands(tiff(BANDS), 5)


def test_empty_tags_of_dicom_do_not_rescale() -> None:
    grey = BANDS[..., :1]
    data = dicom(grey[..., 0], 'MONOCHROME2', 12, RescaleSlope=None, RescaleIntercept=None)
    assert np.array_equal(decode_bands(data, 1), grey)


def test_dicom_is_rescaled(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for pydicom, which is optional."""
    content = SimpleNamespace(pixel_array=BANDS[..., 0], get=dict(RescaleSlope=2, RescaleIntercept=-1000).get)
    monkeypatch.setitem(sys.modules, 'pydicom', SimpleNamespace(dcmread=lambda file: content))
    data = b'\0' * 128 + b'DICM'
    image = decode_bands(data, 1, (-1000, 2 * 4095 - 1000))
    assert np.abs(image[..., 0] - BANDS[..., 0] * (65535 / 4095)).max() < 1
    monkeypatch.setitem(sys.modules, 'pydicom', None)
    with pytest.raises(UserError, match='pip install pydicom'):
        decode_bands(data, 1)


def test_a_value_range_fills_16_bits() -> None:
    image = decode_bands(npy(BANDS), 5, (0, 4095))
    assert np.array_equal(image, np.round(BANDS * (65535 / 4095)))
    each = decode_bands(npy(BANDS.astype(np.float32) - 100), [0, 1], [(-100, 3995), (0, 1000)])
    assert np.array_equal(each[..., 0], image[..., 0]) and each[..., 1].max() == 65535 and each[..., 1].min() == 0


@pytest.mark.parametrize(
    ('data', 'bands', 'message'),
    [
        (npy(BANDS), 4, '5 bands instead of 4'),
        (npy(BANDS), [7], 'no band 7'),
        (npy(BANDS.astype(np.float32)), 5, 'float32 samples .* set value_range'),
        (npy(BANDS[None]), 5, '2 or 3 dimensions'),
        (npy(BANDS[:0]), 5, r'shape \(0, 24, 5\) .* is not an image'),
        (npy(np.array([['a', 'b']])), 1, 'type <U1 is not an image'),
        (npy(BANDS * 1j), 5, 'type complex128 is not an image'),
        (tiff(BANDS)[:50], 5, r'\w+: '),
        (b'nothing', 5, "known format: it begins with b'nothing'"),
        (b'', 5, 'known format: it is empty'),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, bands: int | list[int], message: str) -> None:
    with pytest.raises(UnreadableImageError, match=message):
        decode_bands(data, bands)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for index in range(4):
        path = tmp_path / 'ab'[index % 2]
        path.mkdir(exist_ok=True)
        (path / f'{index}.{"npy" if index < 2 else "tif"}').write_bytes((npy if index < 2 else tiff)(BANDS + index))
    return tmp_path


def test_a_folder_of_bands_gives_views_of_16_bits(folder: Path) -> None:
    view = dict(type='AugmentedView', size=16, jitter=(0.4, 0.4, 0, 0), blur=0.5)
    dataset = ImageFolder(str(folder), bands=5, value_range=(0, 4100), views=[view, view])
    assert len(dataset) == 4
    batch = collate_views([dataset[index] for index in range(4)])
    assert [tuple(x.shape) for x in batch['inputs']] == [(4, 5, 16, 16)] * 2
    assert batch['inputs'][0].dtype == torch.uint16 and batch['inputs'][0].float().max() > 60000
    labelled = ClassFolder(str(folder), bands=[0, 2], transform=dict(type='CenterCropView', size=16))
    assert labelled.classes == ('a', 'b') and labelled[1]['inputs'].shape == (2, 16, 16)


def test_the_resize_keeps_16_bits() -> None:
    image = np.full((20, 20, 2), 40001, np.uint16)
    assert (resize(image, 7, 9, 'bicubic').int() == 40001).all()
    with pytest.raises(ValueError, match="'bilinear' or 'bicubic'"):
        resize(image, 7, 9, 'lanczos')


def test_statistics_are_measured_once_and_read_by_both(folder: Path) -> None:
    found = measure_images(str(folder), 5)
    assert found['images'] == 4 and len(found['mean']) == 5
    for low, high in found['value_range']:
        assert 0 <= low < 30 and 4050 < high < 4100
    file = folder / 'statistics.json'
    file.write_text(json.dumps(found))
    dataset = ImageFolder(str(folder), bands=5, value_range=str(file), transform=dict(type='CenterCropView', size=16))
    mean = torch.stack([dataset[index]['inputs'].float().mean((1, 2)) for index in range(4)]).mean(0) / 65535 * 255
    torch.testing.assert_close(mean, torch.tensor(found['mean']), atol=5.0, rtol=0)
    with pytest.raises(UserError, match='no image with bands=3'):
        measure_images(str(folder), 3)
    with pytest.raises(ValueError, match='max_images must be at least 1, got -1'):
        measure_images(str(folder), 5, max_images=-1)
    with pytest.raises(ValueError, match='5 pairs for RGB: give one pair'):
        ImageFolder(str(folder), value_range=str(file), transform=dict(type='CenterCropView', size=16))
    with pytest.raises(ValueError, match=r'was measured with bands=5, and the dataset has bands=2'):
        ImageFolder(str(folder), bands=2, value_range=str(file), transform=dict(type='CenterCropView', size=16))


def test_real_pages_of_a_package_are_bands() -> None:
    skimage = pytest.importorskip('skimage')
    file = Path(skimage.__file__).parent / 'data' / 'multipage.tif'
    if not file.is_file():
        pytest.skip('this release of scikit-image does not ship the file')
    image = decode_bands(file.read_bytes(), 2)
    assert image.shape == (15, 10, 2) and image.max() > 0


def dicom(samples: np.ndarray, kind: str, bits: int, **tags: object) -> bytes:
    pydicom = pytest.importorskip('pydicom')
    from pydicom.dataset import FileMetaDataset

    content = pydicom.Dataset()
    content.file_meta = FileMetaDataset()
    content.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    content.file_meta.MediaStorageSOPClassUID = content.SOPClassUID = '1.2.840.10008.5.1.4.1.1.7'
    content.file_meta.MediaStorageSOPInstanceUID = content.SOPInstanceUID = '1.2.3'
    content.Rows, content.Columns = samples.shape
    content.SamplesPerPixel, content.PixelRepresentation, content.PhotometricInterpretation = 1, 0, kind
    content.BitsAllocated, content.BitsStored, content.HighBit = 8 * samples.itemsize, bits, bits - 1
    content.PixelData = samples.tobytes()
    for name, value in tags.items():
        setattr(content, name, value)
    file = BytesIO()
    content.save_as(file, enforce_file_format=True)
    return file.getvalue()


def test_large_samples_are_bright_in_every_file() -> None:
    grey = BANDS[..., :1]
    assert np.array_equal(decode_bands(dicom(grey[..., 0], 'MONOCHROME2', 12), 1), grey)
    assert np.array_equal(decode_bands(dicom(4095 - grey[..., 0], 'MONOCHROME1', 12), 1), grey)
    file = BytesIO()
    tifffile.imwrite(file, 65535 - grey[..., 0], photometric='miniswhite')
    assert np.array_equal(decode_bands(file.getvalue(), 1), grey)


def test_palettes_become_colours() -> None:
    indices, colours = np.arange(16, dtype=np.uint8).reshape(4, 4) % 4, np.array([0, 10, 200, 255], np.uint8)
    picture = Image.new('P', (4, 4))
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(np.repeat(colours, 3).tobytes())
    for kind in ('PNG', 'TIFF'):
        file = BytesIO()
        picture.save(file, kind)
        assert np.array_equal(decode_bands(file.getvalue(), 3), np.repeat(colours[indices][..., None], 3, axis=2))
    file = BytesIO()
    picture.convert('PA').save(file, 'TIFF')  # with transparency
    assert np.array_equal(decode_bands(file.getvalue(), 3), np.repeat(colours[indices][..., None], 3, axis=2))
    table = (257 * colours.astype(np.uint16)).tobytes()
    tags: dict[str, object] = {f'{name}PaletteColorLookupTableData': table for name in ('Red', 'Green', 'Blue')}
    tags |= {f'{name}PaletteColorLookupTableDescriptor': [4, 0, 16] for name in ('Red', 'Green', 'Blue')}
    assert np.array_equal(decode_bands(dicom(indices, 'PALETTE COLOR', 8, **tags), 3)[..., 0] // 257, colours[indices])


@pytest.mark.parametrize('number', [1, 3, 4])
def test_png_keeps_16_bits(number: int) -> None:
    stored = BANDS[..., [2, 1, 0, 3][:number] if number > 1 else [0]]  # OpenCV writes blue first
    data = cv2.imencode('.png', stored)[1].tobytes()
    assert np.array_equal(decode_bands(data, number), BANDS[..., :number])


def test_a_batch_of_8_and_16_bits_has_one_white(tmp_path: Path) -> None:
    (tmp_path / 'a.npy').write_bytes(npy(np.full((8, 8), 255, np.uint8)))
    (tmp_path / 'b.npy').write_bytes(npy(np.full((8, 8), 65535, '>u2')))
    dataset = ImageFolder(str(tmp_path), bands=1, transform=dict(type='CenterCropView', size=8))
    images = collate_views([dataset[0], dataset[1]])['inputs']
    assert images.dtype == torch.uint16 and (images.int() == 65535).all()


def test_images_with_nan_are_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    samples = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    np.save(tmp_path / 'a.npy', samples)
    samples[0, 0] = np.nan
    np.save(tmp_path / 'b.npy', samples)
    monkeypatch.setenv('HOME', str(tmp_path))
    found = measure_images('~', 1)
    assert found['images'] == 1 and np.isfinite(found['value_range']).all()


@pytest.mark.parametrize('value', [4095, (), (1,), [(0, 1), 5], (5, 1), (0, float('inf')), 'none.json', 'wrong.json'])
def test_wrong_value_ranges(value: object, tmp_path: Path) -> None:
    (tmp_path / 'wrong.json').write_text('{"mean": [1]}')
    value = str(tmp_path / value) if isinstance(value, str) else value
    with pytest.raises(ValueError, match=r'must be \(black, white\)|is not a file of tools/misc/measure_images.py'):
        read_value_range(value, 2)


def test_a_band_with_few_bright_pixels_needs_wider_percentiles(tmp_path: Path) -> None:
    samples = np.zeros((40, 40), np.uint16)
    samples[0, 0] = 5000
    np.save(tmp_path / 'a.npy', samples)
    with pytest.raises(UserError, match='wider percentiles'):
        measure_images(str(tmp_path), 1)
    assert measure_images(str(tmp_path), 1, (0, 100))['value_range'] == [[0, 5000]]
    with pytest.raises(ValueError, match='max_images must be at least 1'):
        measure_images(str(tmp_path), 1, max_images=0)


def test_infinite_samples_have_no_share_in_the_statistics(tmp_path: Path) -> None:
    samples = np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)
    samples[0, :4] = -np.inf
    np.save(tmp_path / 'a.npy', samples)
    found = measure_images(str(tmp_path), 1)
    assert np.isfinite([*found['value_range'][0], *found['mean'], *found['std']]).all()

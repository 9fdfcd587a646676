"""Images with bands: TIFF, NumPy and DICOM, their ranges, views and statistics."""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image

from mmssl.datasets.bands import decode_bands
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


def test_other_formats_have_bands_too() -> None:
    file = BytesIO()
    Image.fromarray(BANDS[..., :3].astype(np.uint8)).save(file, 'png')
    image = decode_bands(file.getvalue(), 3)
    assert image.dtype == np.uint8 and np.array_equal(image, BANDS[..., :3].astype(np.uint8))


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
        (tiff(BANDS)[:50], 5, r'\w+: '),
        (b'nothing', 5, 'cannot identify'),
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
    with pytest.raises(ValueError, match='5 pairs for 2 bands'):
        ImageFolder(str(folder), bands=2, value_range=str(file), transform=dict(type='CenterCropView', size=16))


def test_real_pages_of_a_package_are_bands() -> None:
    skimage = pytest.importorskip('skimage')
    file = Path(skimage.__file__).parent / 'data' / 'multipage.tif'
    if not file.is_file():
        pytest.skip('this release of scikit-image does not ship the file')
    image = decode_bands(file.read_bytes(), 2)
    assert image.shape == (15, 10, 2) and image.max() > 0

"""CIFAR and Fashion-MNIST: images and labels of files written as they are published."""

import gzip
import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from mmssl.datasets.array_images import ArrayImages
from mmssl.datasets.cifar import CIFAR10, CIFAR100
from mmssl.datasets.fashion_mnist import FashionMNIST, read_idx
from mmssl.datasets.mnist import MNIST
from mmssl.datasets.restricted_pickle import load_arrays
from mmssl.utils.errors import UserError
from tests.support.image_files import EVALUATION, TRAINING

PIXELS = np.random.default_rng(0).integers(0, 256, (10, 32, 32, 3), dtype=np.uint8)
LABELS = [3, 1, 0, 2, 3, 0, 0, 1, 2, 2]
NAMES = [b'airplane', b'automobile', b'bird', b'cat']


def write_cifar(folder: Path, source: type[CIFAR10]) -> Path:
    """Writes the unpacked archive: 10 training images, 5 test images."""
    folder = folder / source.folder
    folder.mkdir()
    planes = PIXELS.transpose(0, 3, 1, 2).reshape(10, -1)
    for split, num_images in (('train', 10), ('test', 5)):
        shares = np.split(np.arange(num_images), len(source.files[split]))
        for name, rows in zip(source.files[split], shares):
            part = {b'data': planes[rows], source.label_key: [LABELS[row] for row in rows]}
            (folder / name).write_bytes(pickle.dumps(part, protocol=2))
    (folder / source.meta).write_bytes(pickle.dumps({source.names_key: NAMES}, protocol=2))
    return folder


@pytest.mark.parametrize('source', [CIFAR10, CIFAR100])
@pytest.mark.parametrize('packed', [False, True])
@pytest.mark.parametrize('inside', [False, True])
def test_cifar(source: type[CIFAR10], packed: bool, inside: bool, tmp_path: Path) -> None:
    place = folder = write_cifar(tmp_path, source)
    if packed:
        place = tmp_path / 'other' / source.archive
        place.parent.mkdir()
        with tarfile.open(place, 'w:gz') as tar:
            tar.add(folder, source.folder)
    view = dict(transform=dict(type='CenterCropView', size=32))
    for split, num_images in (('train', 10), ('test', 5)):
        images = source(str(place if inside else place.parent), split=split, **view)
        assert len(images) == num_images
        assert images.classes == ('airplane', 'automobile', 'bird', 'cat')
        for i in (0, num_images - 1):
            np.testing.assert_array_equal(images[i]['inputs'].permute(1, 2, 0), PIXELS[i])
            assert images.label(i) == LABELS[i]


def test_cifar_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'neither cifar-10-python.tar.gz nor cifar-10-batches-py/'):
        CIFAR10(str(tmp_path), **EVALUATION)
    with pytest.raises(ValueError, match="got 'val'"):
        CIFAR10(str(tmp_path), split='val', **EVALUATION)


def test_pickle_runs_no_code() -> None:
    class Attack:
        def __reduce__(self):
            return print, ('ran',)

    with pytest.raises(pickle.UnpicklingError, match='only numpy arrays'):
        load_arrays(io.BytesIO(pickle.dumps({b'data': Attack()})))


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, '>u4').tobytes() + array.tobytes()


@pytest.mark.parametrize('compressed', [False, True])
def test_fashion_mnist(compressed: bool, tmp_path: Path) -> None:
    for prefix, num_images in (('train', 6), ('t10k', 3)):
        for suffix, array in (
            ('images-idx3-ubyte', PIXELS[:num_images, :28, :28, 0]),
            ('labels-idx1-ubyte', np.array(LABELS[:num_images], np.uint8)),
        ):
            data = idx(np.ascontiguousarray(array))
            name = f'{prefix}-{suffix}' + ('.gz' if compressed else '')
            (tmp_path / name).write_bytes(gzip.compress(data) if compressed else data)
    images = FashionMNIST(str(tmp_path), split='test', transform=dict(type='CenterCropView', size=28))
    assert len(images) == 3 and images.classes[9] == 'ankle boot'
    for channel in images[2]['inputs']:
        np.testing.assert_array_equal(channel, PIXELS[2, :28, :28, 0])
    assert MNIST(str(tmp_path), split='test', **EVALUATION).classes == tuple('0123456789')
    train = FashionMNIST(str(tmp_path), **TRAINING)
    assert len(train) == 6 and train[5]['data_samples'] == dict(index=5, label=0)


def test_idx_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='data_root'):
        FashionMNIST(str(tmp_path), **EVALUATION)
    path = tmp_path / 'x'
    path.write_bytes(b'\x89PNG')
    with pytest.raises(ValueError, match='not an idx file'):
        read_idx(path)
    path.write_bytes(idx(PIXELS[..., 0])[:-1])
    with pytest.raises(ValueError, match='truncated'):
        read_idx(path)


def test_an_incomplete_archive_says_what_to_do(tmp_path: Path) -> None:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode='w:gz') as tar:
        member = tarfile.TarInfo('cifar-10-batches-py/batches.meta')
        member.size = 9000
        tar.addfile(member, io.BytesIO(np.random.default_rng(0).bytes(9000)))
    for length in (200, 4000, None):
        (tmp_path / 'cifar-10-python.tar.gz').write_bytes(archive.getvalue()[:length])
        with pytest.raises(
            ValueError, match=r'cifar-10-python.tar.gz in .* is damaged or incomplete .* download it again'
        ):
            CIFAR10(str(tmp_path), **EVALUATION)
    (tmp_path / 'x.gz').write_bytes(gzip.compress(idx(PIXELS[..., 0]))[:-20])
    with pytest.raises(ValueError, match=r'x.gz is damaged or incomplete .* download it again'):
        read_idx(tmp_path / 'x')


@pytest.mark.parametrize('bands', [1, [2, 1, 0]])
def test_images_in_memory_have_no_bands_to_choose(bands: int | list[int]) -> None:
    with pytest.raises(UserError, match='ArrayImages holds images in RGB'):
        ArrayImages(PIXELS, bands=bands, **EVALUATION)


def test_labels_of_other_images_are_refused() -> None:
    with pytest.raises(ValueError, match='has 3 images and 4 labels'):
        ArrayImages(PIXELS[:3], np.arange(4), **EVALUATION)


@pytest.mark.parametrize('header', [b'\0\0\x08', b'\0\0\x08\x03\0\0\0\x0a'])
def test_an_idx_file_that_ends_in_its_header_is_truncated(header: bytes, tmp_path: Path) -> None:
    (tmp_path / 'x').write_bytes(header)
    with pytest.raises(ValueError, match='ends within its header: it is truncated'):
        read_idx(tmp_path / 'x')


def test_labels_of_other_classes_are_refused(tmp_path: Path) -> None:
    (tmp_path / 'train-images-idx3-ubyte').write_bytes(idx(np.zeros((3, 4, 4), np.uint8)))
    (tmp_path / 'train-labels-idx1-ubyte').write_bytes(idx(np.array([0, 46, 9], np.uint8)))
    with pytest.raises(ValueError, match='FashionMNIST has 10 classes, so its labels must be 0 to 9, got 46'):
        FashionMNIST(str(tmp_path), **EVALUATION)

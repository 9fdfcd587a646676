"""Decoded copies: the same images, of the same files only, made once by one process."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from mmssl.datasets import decoded_images
from mmssl.datasets.concat_dataset import ConcatDataset
from mmssl.datasets.decode import UnreadableImageError
from mmssl.datasets.image_folder import ImageFolder
from tests.support.image_files import EVALUATION, TRAINING, encode


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five images of different sizes, the third of them damaged."""
    folder = tmp_path / 'photos'
    folder.mkdir()
    for number in range(5):
        pixels = np.random.default_rng(number).integers(0, 256, (9 + number, 20, 3), np.uint8)
        (folder / f'{number}.png').write_bytes(encode(pixels) if number != 2 else b'no image')
    return folder


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()]


def test_items_are_the_same_with_and_without_copies(photos: Path, tmp_path: Path) -> None:
    state = torch.get_rng_state()
    plain = ImageFolder(str(photos), seed=1, **TRAINING)
    quick = ImageFolder(str(photos), seed=1, decoded=str(tmp_path / 'copies'), **TRAINING)
    assert torch.equal(torch.get_rng_state(), state)
    for row in range(5):
        one, other = plain[3, row], quick[3, row]
        assert all(map(torch.equal, one['inputs'], other['inputs'])) and one['skipped'] == other['skipped']
    assert np.array_equal(quick.load(4), plain.load(4))
    with pytest.raises(UnreadableImageError):
        quick.load(2)
    assert len(copies(tmp_path / 'copies')) == 1
    sent = pickle.dumps(quick._decoded)
    assert len(sent) < 500 and np.array_equal(pickle.loads(sent)[4], quick.load(4))


def test_copies_are_read_without_the_decoder_until_a_file_changes(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'copies'
    for split in ('train', 'val'):  # parts of the same files share their copies
        ImageFolder(str(photos), decoded=str(folder), split=split, **EVALUATION)
    assert len(copies(folder)) == 1
    with monkeypatch.context() as patch:
        patch.setattr('mmssl.datasets.base.decode_image', lambda *args: pytest.fail('decoded again'))
        images = ImageFolder(str(photos), decoded=str(folder), **EVALUATION)
        before = images.load(0).copy()
    status = (photos / '0.png').stat()
    (photos / '0.png').write_bytes(encode(np.zeros((9, 20, 3), np.uint8)))
    os.utime(photos / '0.png', ns=(0, status.st_mtime_ns))  # the size differs
    images = ImageFolder(str(photos), decoded=str(folder), **EVALUATION)
    assert before.any() and not images.load(0).any() and len(copies(folder)) == 2
    os.utime(photos / '1.png', ns=(0, 0))  # the time differs
    ImageFolder(str(photos), decoded=str(folder), **EVALUATION)
    ImageFolder(str(photos), decoded=str(folder), value_range=(0, 9), **EVALUATION)
    assert len(copies(folder)) == 4


def test_an_interrupted_start_leaves_nothing_that_is_used(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'copies'

    def stop(*args: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(decoded_images.os, 'fsync', stop)
        ImageFolder(str(photos), decoded=str(folder), **EVALUATION)
    assert not copies(folder)
    ImageFolder(str(photos), decoded=str(folder), **EVALUATION)
    (place,) = copies(folder)
    shutil.move(place, place.with_suffix('.tmp'))  # as after a kill
    (place.with_suffix('.tmp') / 'pixels.bin').write_bytes(b'half')
    images = ImageFolder(str(photos), decoded=str(folder), **EVALUATION)
    assert images.load(4).shape == (13, 20, 3) and copies(folder) == [place]


def _open(photos: str, folder: str, log: str, barrier: multiprocessing.Barrier) -> None:
    original = decoded_images._write

    def write(*args: object) -> None:
        with open(log, 'a') as file:
            file.write('x')
        original(*args)

    decoded_images._write = write
    barrier.wait()
    assert ImageFolder(photos, decoded=folder, **EVALUATION).load(0).shape == (9, 20, 3)


def test_one_process_makes_the_copies(photos: Path, tmp_path: Path) -> None:
    context = multiprocessing.get_context('fork')
    barrier = context.Barrier(3)
    arguments = str(photos), str(tmp_path / 'copies'), str(tmp_path / 'log'), barrier
    processes = [context.Process(target=_open, args=arguments) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / 'log').read_text() == 'x'


def test_copies_keep_bands(tmp_path: Path) -> None:
    (tmp_path / 'images').mkdir()
    pixels = np.random.default_rng(0).integers(0, 65536, (9, 8, 3), np.uint16)
    np.save(tmp_path / 'images' / '0.npy', pixels)
    plain, quick = (
        ImageFolder(str(tmp_path / 'images'), bands=3, decoded=folder, **EVALUATION)
        for folder in (None, str(tmp_path / 'copies'))
    )
    assert plain.load(0).dtype == quick.load(0).dtype == np.uint16 and np.array_equal(plain.load(0), quick.load(0))


def test_what_copies_need(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = dict(type='ImageFolder', data_root=str(photos))
    with pytest.raises(ValueError, match='ConcatDataset is not one; in a dataset that holds others'):
        ConcatDataset([source], decoded=str(tmp_path / 'copies'), **EVALUATION)
    mixed = ConcatDataset([dict(source, decoded=str(tmp_path / 'copies'))], **EVALUATION)
    assert mixed.load(1).shape == (10, 20, 3)
    monkeypatch.setattr(decoded_images, '_CHECK_AFTER', 1)
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(decoded_images.shutil, 'disk_usage', lambda path: usage)
    with pytest.raises(ValueError, match=r'decoded copies of 5 images need about 0.0 GiB, and the disk of'):
        ImageFolder(str(photos), decoded=str(tmp_path / 'more'), **EVALUATION)


def test_a_folder_that_cannot_be_made_is_one_sentence(photos: Path, tmp_path: Path) -> None:
    (tmp_path / 'file').touch()
    for place in ('file', 'file/copies'):
        with pytest.raises(ValueError, match=rf'cannot be written to .*{place} \(.*\): set decoded to another folder'):
            ImageFolder(str(photos), decoded=str(tmp_path / place), **EVALUATION)


def test_a_full_disk_is_one_sentence(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(number: int) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(ValueError, match=r'cannot be written to .*copies \(No space left on device\): set decoded'):
        ImageFolder(str(photos), decoded=str(tmp_path / 'copies'), **EVALUATION)
    assert not copies(tmp_path / 'copies')

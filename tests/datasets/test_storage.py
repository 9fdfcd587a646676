"""Shards in remote storage, read by ranges or through copies on a local disk."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from torch.utils.data import DataLoader

from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.make_index import write_index
from mmssl.datasets.storage import FileCache, StoredFile
from mmssl.datasets.tar_shards import TarShards
from mmssl.utils.errors import UserError
from tests.datasets.test_packed import write_tar
from tests.support.image_files import EVALUATION, encode, flat_image, value_of


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """An address with two shards of two images, whose values are 0, 10, 20 and 30."""
    storage = fsspec.filesystem('memory')
    for shard in range(2):
        file = tmp_path / f'{shard}.tar'
        write_tar(file, {f'{image}.png': encode(flat_image(20 * shard + 10 * image)) for image in range(2)})
        storage.pipe_file(f'/bucket/{shard}.tar', file.read_bytes())
    yield 'memory://bucket'
    storage.rm('/bucket', recursive=True)


@pytest.mark.parametrize('cache', [False, True])
def test_images_of_an_address(bucket: str, cache: bool, tmp_path: Path) -> None:
    index = write_index(bucket, out=str(tmp_path / 'index'), jobs=2)
    copies = dict(cache=dict(folder=str(tmp_path / 'copies'))) if cache else {}
    images = TarShards(f'{bucket}/*.tar', index=index.folder, **copies, **EVALUATION)
    assert [value_of(images[row]) for row in range(4)] == [0, 10, 20, 30]
    assert images.name(3) == 'memory:///bucket/1.tar:1.png'
    loader = DataLoader(images, 2, num_workers=2, collate_fn=collate_views)
    assert [batch['inputs'].float().mean(dim=(1, 2, 3)).tolist() for batch in loader] == [[0, 10], [20, 30]]
    if cache:
        assert sorted(path.name[17:] for path in (tmp_path / 'copies').iterdir()) == ['0.tar', '1.tar']
        fsspec.filesystem('memory').store['/bucket/1.tar'].seek(0)
        assert value_of(images[3]) == 30
    fsspec.filesystem('memory').pipe_file('/bucket/1.tar', b'other')
    with pytest.raises(ValueError, match='memory:///bucket/1.tar has 5 bytes and had 10240 .* it is truncated'):
        TarShards(bucket, index=index.folder, **EVALUATION)


def test_the_file_protocol_reads_a_disk(tmp_path: Path) -> None:
    write_tar(tmp_path / '0.tar', {'a.png': encode(flat_image(50))})
    index = write_index(f'file://{tmp_path}', out=str(tmp_path / 'index'), jobs=1)
    images = TarShards(f'file://{tmp_path}', index=index.folder, **EVALUATION)
    assert value_of(images[0]) == 50


def test_what_an_address_needs(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match='needs an index on a local disk: mmssl index memory://bucket --out FOLDER'):
        TarShards(bucket, **EVALUATION)
    with pytest.raises(ValueError, match='set --out to a folder'):
        write_index(bucket, jobs=1)
    with pytest.raises(ValueError, match='remove cache'):
        TarShards(str(tmp_path), cache=dict(folder='x'), **EVALUATION)
    with pytest.raises(ValueError, match=r'cache must be dict\(folder='):
        TarShards(bucket, cache=dict(gib=1), **EVALUATION)
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match=r'file/copies cannot be written .*: set cache.folder to another one'):
        TarShards(bucket, cache=dict(folder=str(tmp_path / 'file' / 'copies')), **EVALUATION)
    with pytest.raises(ValueError, match='Protocol not known: moon'):
        TarShards('moon://x', **EVALUATION)
    monkeypatch.setitem(sys.modules, 'fsspec.core', None)
    with pytest.raises(ImportError, match='pip install fsspec'):
        TarShards(bucket, **EVALUATION)


def test_a_storage_that_refuses(bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError('Unable to locate credentials')

    monkeypatch.setattr(type(fsspec.filesystem('memory')), 'find', refuse)
    with pytest.raises(ValueError, match=r'bucket cannot be listed \(RuntimeError: Unable to locate credentials'):
        write_index(bucket, out=str(tmp_path / 'index'), jobs=1)


def test_a_cache_of_limited_size_removes_what_was_read_first(tmp_path: Path) -> None:
    fetched = []

    def read(name: str) -> bytes:
        def fetch(path: str) -> None:
            fetched.append(name)
            Path(path).write_bytes(name.encode() * 512)

        return cache.read(StoredFile(name, 512, ''), 1, 3, fetch)

    cache = FileCache(str(tmp_path / 'copies'), max_gib=1024 / 2**30)  # two files
    assert read('a') == b'aaa' and read('b') == b'bbb' and read('a') == b'aaa'
    assert fetched == ['a', 'b']
    read('c')
    read('a')
    assert fetched == ['a', 'b', 'c']
    read('b')
    assert fetched == ['a', 'b', 'c', 'b'] and len(list((tmp_path / 'copies').iterdir())) == 2


def test_a_cache_leaves_other_files_of_its_folder_alone(tmp_path: Path) -> None:
    own = tmp_path / 'thesis.txt'
    own.write_text('my own file')
    (tmp_path / 'folder').mkdir()
    cache = FileCache(str(tmp_path), max_gib=1024 / 2**30)
    for name in ('a', 'b', 'c'):
        cache.read(StoredFile(name, 512, ''), 0, 4, lambda path: Path(path).write_bytes(b'x' * 512))
    assert own.read_text() == 'my own file'
    assert len(list(tmp_path.iterdir())) == 4


def test_two_processes_make_room_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other process removes a copy after this one has listed it."""
    cache = FileCache(str(tmp_path), max_gib=1024 / 2**30)
    for name in ('a', 'b'):
        cache.read(StoredFile(name, 512, ''), 0, 4, lambda path: Path(path).write_bytes(b'x' * 512))
    listed = sorted(tmp_path.iterdir())
    listed[0].unlink()
    monkeypatch.setattr(Path, 'iterdir', lambda folder: iter(listed))
    read = cache.read(StoredFile('c', 512, ''), 0, 4, lambda path: Path(path).write_bytes(b'y' * 512))
    assert read == b'yyyy'


def test_an_incomplete_copy_is_not_used(tmp_path: Path) -> None:
    cache, file = FileCache(str(tmp_path)), StoredFile('x', 4, '')
    with pytest.raises(OSError, match='2 of 4 bytes arrived'):
        cache.read(file, 0, 4, lambda path: Path(path).write_bytes(b'ab'))
    assert cache.read(file, 0, 4, lambda path: Path(path).write_bytes(b'abcd')) == b'abcd'
    assert [path.suffix for path in tmp_path.iterdir()] == ['']


def _read_once(folder: str, number: int) -> bool:
    def fetch(path: str) -> None:
        with open(f'{folder}/log', 'a') as log:
            log.write('x')
        Path(path).write_bytes(b'y' * 2**20)

    copies = FileCache(f'{folder}/copies')
    return copies.read(StoredFile('x', 2**20, ''), 0, 2**20, fetch) == b'y' * 2**20


def test_one_process_copies_and_the_others_wait(tmp_path: Path) -> None:
    with multiprocessing.get_context('fork').Pool(4) as pool:
        assert all(pool.starmap(_read_once, [(str(tmp_path), number) for number in range(8)]))
    assert (tmp_path / 'log').read_text() == 'x'
    assert [path.name[17:] for path in (tmp_path / 'copies').iterdir()] == ['x']


@pytest.mark.parametrize('size', [0, -1, float('nan'), float('inf')])
def test_a_cache_without_room_is_refused(size: float, tmp_path: Path) -> None:
    with pytest.raises(UserError, match='cache.max_gib must be a positive number, or None'):
        FileCache(str(tmp_path), max_gib=size)

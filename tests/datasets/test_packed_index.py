"""The index of tar shards and of an LMDB: the same images as without it, mapped by workers; and what is refused."""

from __future__ import annotations

import io
import os
import pickle
import random
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torch.utils.data import DataLoader

from mmssl.datasets import lmdb_keys
from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.concat_dataset import ConcatDataset
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.datasets.lmdb_images import LmdbImages
from mmssl.datasets.make_index import write_index
from mmssl.datasets.packed_index import PackedIndex
from mmssl.datasets.tar_members import find_images_in_tar
from mmssl.datasets.tar_shards import TarShards
from tests.datasets.test_packed import write_lmdb, write_tar
from tests.support.image_files import EVALUATION, TRAINING, encode, flat_image, value_of


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Three shards of 2, 0 and 3 labelled images with the values 10, 20, ..."""
    values = iter(range(10, 60, 10))
    for shard, number in enumerate([2, 0, 3]):
        members: dict[str, bytes] = {'note.txt': b'no image'}
        for image in range(number):
            members[f's{shard}/{image}.png'] = encode(flat_image(value := next(values)))
            members[f's{shard}/{image}.cls'] = str(value).encode()
        write_tar(tmp_path / f'{"ab"[shard > 1]}-{shard}.tar', members)
    return tmp_path


def content(images: TarShards | LmdbImages) -> list[tuple[int, int, str]]:
    return [(value_of(images[row]), images.label(row), images.name(row)) for row in range(len(images))]


@pytest.mark.parametrize('jobs', [1, 2])
def test_an_index_holds_the_same_images(shards: Path, jobs: int) -> None:
    plain = content(TarShards(str(shards), **EVALUATION))
    assert [value for value, *_ in plain] == [10, 20, 30, 40, 50]
    index = write_index(str(shards), jobs=jobs)
    assert (len(index), index.folder) == (5, str(shards / 'mmssl_index'))
    images = TarShards(str(shards), **EVALUATION)
    assert images.index.folder == str(shards / 'mmssl_index')
    assert isinstance(images.index.arrays['offsets'].base, np.memmap)
    assert content(images) == plain
    assert content(TarShards(str(shards / 'b-*.tar'), **EVALUATION)) == plain[2:]  # a part of the indexed shards
    elsewhere = write_index(str(shards / '*.tar'), out=str(shards / 'x' / 'index'), jobs=jobs)
    assert content(TarShards(str(shards), index=elsewhere.folder, **EVALUATION)) == plain


def test_a_spawned_worker_maps_the_files_again(shards: Path) -> None:
    write_index(str(shards), jobs=1)
    images = TarShards(str(shards), **EVALUATION)
    sent = pickle.dumps(images.index)
    assert len(sent) < 1000 and pickle.loads(sent).names[1] == 's0/1.png'
    assert content(pickle.loads(pickle.dumps(images))) == content(images)


def test_order_and_resume_are_those_of_the_images_without_an_index(shards: Path) -> None:
    def batches(start: int) -> list[list[int]]:
        images = ConcatDataset([dict(type='TarShards', data_root=str(shards))] * 2, weights=[2, 1], **TRAINING)
        sampler = EpochSampler(images, seed=3)
        sampler.set_start(start)
        loader = DataLoader(images, 3, sampler=sampler, num_workers=2 * (start > 0), collate_fn=collate_views)
        return [batch['data_samples']['index'].tolist() + batch['inputs'][0].flatten().tolist() for batch in loader]

    plain = batches(0)
    write_index(str(shards), jobs=1)
    assert batches(0) == plain
    assert batches(6) == plain[2:]


def test_the_index_of_an_lmdb_divides_the_keys(tmp_path: Path) -> None:
    names = [f'{folder}/{number:03d}.png' for folder in ('cat', 'cow', 'dog') for number in range(8)]
    write_lmdb(tmp_path, [*names, 'zzz'])
    plain = content(LmdbImages(str(tmp_path), **EVALUATION))
    index = write_index(str(tmp_path), jobs=2)
    images = LmdbImages(str(tmp_path), **EVALUATION)
    assert images.index.folder == index.folder == str(tmp_path / 'mmssl_index')
    assert content(images) == plain and len(plain) == 24 and images.classes == ('cat', 'cow', 'dog')
    change = (
        'import lmdb, sys\nwith lmdb.open(sys.argv[1]).begin(write=True) as writer: writer.put(b"cat/000.png", b"x")'
    )
    subprocess.run([sys.executable, '-c', change, str(tmp_path)], check=True)
    with pytest.raises(ValueError, match='was changed after its index .* was made; make the index again: mmssl index'):
        LmdbImages(str(tmp_path), **EVALUATION)


def test_labels_of_a_file(shards: Path, tmp_path: Path) -> None:
    file = tmp_path / 'labels.npy'
    np.save(file, np.array([4, 3, 2, 1, 0]))
    write_index(str(shards), labels=str(file), jobs=1)
    assert [TarShards(str(shards), **EVALUATION).label(row) for row in range(5)] == [4, 3, 2, 1, 0]
    np.save(file, np.array([4, 3, 2, 1, -1]))
    write_index(str(shards), labels=str(file), jobs=1)
    with pytest.raises(ValueError, match='some images have a label'):
        TarShards(str(shards), **EVALUATION)
    assert TarShards(str(shards / 'a-*.tar'), **EVALUATION).label(1) == 3


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.arange(4), r'has 4 labels, and .* holds 5 images'),
        (np.zeros(5), r'must hold one integer per image, got float64 of shape \(5,\)'),
        (np.array([0, 1, 2, 3, 2**31]), 'holds labels from 0 to 2147483648; use -1 to 2147483647'),
        (None, 'is not an .npy file of labels'),
    ],
)
def test_wrong_labels(labels: np.ndarray | None, message: str, shards: Path, tmp_path: Path) -> None:
    file = tmp_path / 'labels.npy'
    if labels is not None:
        np.save(file, labels)
    with pytest.raises(ValueError, match=message):
        write_index(str(shards), labels=str(file), jobs=1)
    assert not [path for path in shards.iterdir() if 'index' in path.name]  # nothing half-written is left


def test_shards_that_differ_from_the_index(shards: Path) -> None:
    write_index(str(shards), jobs=1)
    shard = shards / 'b-2.tar'
    whole, status = shard.read_bytes(), shard.stat()
    shard.write_bytes(whole[:-5000])
    with pytest.raises(ValueError, match=r'b-2.tar has \d+ bytes and had \d+ when its index was made: it is truncated'):
        TarShards(str(shards), **EVALUATION)
    shard.write_bytes(whole)
    os.utime(shard, ns=(0, status.st_mtime_ns + 1))
    with pytest.raises(ValueError, match=r'b-2.tar was changed after its index .*mmssl_index was made'):
        TarShards(str(shards), **EVALUATION)
    os.utime(shard, ns=(0, status.st_mtime_ns))
    assert len(TarShards(str(shards), **EVALUATION)) == 5
    (shards / 'c.tar').write_bytes(whole)
    with pytest.raises(ValueError, match=r'mmssl_index was made before c.tar came; make the index again: mmssl index'):
        TarShards(str(shards), **EVALUATION)
    (shards / 'c.tar').unlink()
    shard.unlink()
    with pytest.raises(ValueError, match=r'b-2.tar is missing, and the index .* names it'):
        TarShards(str(shards), **EVALUATION)


def test_damaged_index_files(shards: Path) -> None:
    folder = Path(write_index(str(shards), jobs=1).folder)
    with pytest.raises(ValueError, match=r'an index of another kind \(tar, format 1, not lmdb'):
        PackedIndex.read(str(folder), 'lmdb')
    np.save(folder / 'labels.npy', np.zeros(4, np.int32))
    with pytest.raises(ValueError, match='labels.npy has 4 rows, not 5'):
        TarShards(str(shards), **EVALUATION)
    (folder / 'offsets.npy').write_bytes((folder / 'offsets.npy').read_bytes()[:-1])
    with pytest.raises(ValueError, match='is damaged'):
        TarShards(str(shards), **EVALUATION)
    with pytest.raises(ValueError, match='holds no index'):
        TarShards(str(shards), index=str(shards / 'nowhere'), **EVALUATION)


def test_truncated_and_joined_shards_have_no_index(shards: Path) -> None:
    shard = shards / 'b-2.tar'
    whole = shard.read_bytes()
    end = len(whole.rstrip(b'\0'))
    for kept in (end - 1, -(-end // 512) * 512):  # within the last member, and before the end mark
        shard.write_bytes(whole[:kept])
        with pytest.raises(ValueError, match=r'b-2.tar is truncated: it ends within an image or without the end mark'):
            write_index(str(shards), jobs=2)
    shard.write_bytes(whole + whole)
    with pytest.raises(ValueError, match='holds data after its end'):
        write_index(str(shards), jobs=1)
    shard.write_bytes(whole[:1024] + b'x' * 512 + whole[1536:])
    with pytest.raises(ValueError, match='is damaged at byte'):
        write_index(str(shards), jobs=1)


@pytest.mark.parametrize('format', [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_members_are_those_of_tarfile(format: int, tmp_path: Path) -> None:
    rng = random.Random(0)
    file = tmp_path / 'x.tar'
    with tarfile.open(file, 'w', format=format) as tar:
        for number in range(40):
            name = 'folder/' * rng.randrange(12) + f'{number}' * rng.randrange(1, 20) + rng.choice('éa') + '.jpg'
            info = tarfile.TarInfo(name)
            info.size, info.mtime = rng.randrange(2000), number + (0.5 if format == tarfile.PAX_FORMAT else 0)
            info.type = rng.choice([tarfile.REGTYPE] * 4 + [tarfile.DIRTYPE, tarfile.SYMTYPE])
            info.size, info.linkname = info.size * info.isreg(), 'x' * 150 * info.issym() * (format != 0)
            tar.addfile(info, io.BytesIO(bytes(info.size)))
    with tarfile.open(file) as tar:
        wanted = [(member.name, member.offset_data, member.size, -1) for member in tar if member.isfile()]
    with file.open('rb') as content:
        assert find_images_in_tar(content, 'x.tar') == wanted


def test_an_index_replaces_nothing_but_an_index(shards: Path) -> None:
    with pytest.raises(ValueError, match=r'is no index, and an index would replace it: set --out to a new folder'):
        write_index(str(shards), out=str(shards), jobs=1)
    assert len(list(shards.glob('*.tar'))) == 3
    (shards / 'empty').mkdir()
    assert len(write_index(str(shards), out=str(shards / 'empty'), jobs=1)) == 5


def test_an_index_in_a_linked_folder_or_in_this_one(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, here = tmp_path / 'disk', tmp_path / 'here'
    disk.mkdir(), here.mkdir()
    (shards / 'mmssl_index').symlink_to(disk)
    assert write_index(str(shards), jobs=1).folder == str(disk) and len(TarShards(str(shards), **EVALUATION)) == 5
    monkeypatch.chdir(here)
    assert write_index(str(shards), out='.', jobs=1).folder == str(here)


def test_a_folder_whose_name_is_a_pattern(shards: Path) -> None:
    folder = shards / 'ümlaut [1] *'
    folder.mkdir()
    (shards / 'a-0.tar').rename(folder / 'a-0.tar')
    plain = content(TarShards(str(folder), **EVALUATION))
    assert len(write_index(f'{folder}/', jobs=1)) == len(plain) == 2
    images = TarShards(f'{folder}/', **EVALUATION)
    assert content(images) == plain and images.index.folder is not None


def test_another_lmdb_of_the_same_size_is_not_that_of_the_index(tmp_path: Path) -> None:
    write_lmdb(tmp_path / 'x', ['a/0.png', 'b/1.png'])
    write_index(str(tmp_path / 'x'), jobs=1)
    write_lmdb(tmp_path / 'y', ['c/0.png', 'd/1.png'])
    (tmp_path / 'y' / 'data.mdb').replace(tmp_path / 'x' / 'data.mdb')
    lmdb_keys._OPEN.popitem()[1][1].close()  # a new process opens the database again
    with pytest.raises(ValueError, match='was changed after its index'):
        LmdbImages(str(tmp_path / 'x'), **EVALUATION)
    write_lmdb(tmp_path / 'z', ['a/0.png', '1.png'])
    with pytest.raises(ValueError, match='give a class to all or to none'):
        LmdbImages(str(tmp_path / 'z'), **EVALUATION)

"""LMDB and tar shards: images and labels come back, also in workers; errors say what to do."""

import io
import sys
import tarfile
from pathlib import Path

import lmdb
import pytest
from torch.utils.data import DataLoader

from mmssl.datasets import tar_members
from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.lmdb_images import LmdbImages
from mmssl.datasets.tar_shards import TarShards
from tests.support.image_files import EVALUATION, encode, flat_image, value_of


def write_lmdb(path: Path, names: list[str]) -> None:
    with lmdb.open(str(path), map_size=2**20) as environment, environment.begin(write=True) as transaction:
        transaction.put(b'__len__', str(len(names)).encode())
        for number, name in enumerate(names):
            transaction.put(name.encode(), encode(flat_image(10 * number)))


def write_tar(path: Path, members: dict[str, bytes], mode: str = 'w') -> None:
    with tarfile.open(path, mode) as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_lmdb(tmp_path: Path) -> None:
    write_lmdb(tmp_path, ['dog/a', 'cat/b', 'dog/c'])
    images = LmdbImages(str(tmp_path), **EVALUATION)
    assert images.classes == ('cat', 'dog')
    assert [(value_of(images[i]), images.label(i)) for i in range(3)] == [(10, 0), (0, 1), (20, 1)]
    assert images.name(0) == f'{tmp_path}:cat/b'
    loader = DataLoader(images, batch_size=3, num_workers=1, collate_fn=collate_views)
    assert next(iter(loader))['data_samples']['label'].tolist() == [0, 1, 1]


def test_lmdb_without_classes(tmp_path: Path) -> None:
    write_lmdb(tmp_path, ['a', 'b'])
    images = LmdbImages(str(tmp_path), **EVALUATION)
    assert (images.classes, images.label(1)) == (None, -1)


def test_an_lmdb_has_several_names(tmp_path: Path) -> None:
    write_lmdb(tmp_path, ['a', 'b'])
    train, val = (LmdbImages(name, **EVALUATION) for name in (str(tmp_path), f'{tmp_path}/'))
    assert value_of(train[1]) == value_of(val[1]) == 10


def test_lmdb_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match='set data_root to an LMDB'):
        LmdbImages(str(tmp_path / 'nowhere'), **EVALUATION)
    write_lmdb(tmp_path, [])
    with pytest.raises(FileNotFoundError, match='holds no images'):
        LmdbImages(str(tmp_path), **EVALUATION)
    monkeypatch.setitem(sys.modules, 'lmdb', None)
    with pytest.raises(ImportError, match='pip install lmdb'):
        LmdbImages(str(tmp_path), **EVALUATION)


def test_tar_shards(tmp_path: Path) -> None:
    write_tar(tmp_path / '1.tar', {'b/x.png': encode(flat_image(30)), 'b/x.cls': b'7', 'note.txt': b'no image'})
    write_tar(
        tmp_path / '0.tar',
        {'y.cls': b'5\n', 'y.png': encode(flat_image(10)), 'z.PNG': encode(flat_image(20)), 'z.cls': b'6'},
    )
    images = TarShards(str(tmp_path), **EVALUATION)
    assert [(value_of(images[i]), images.label(i)) for i in range(3)] == [(10, 5), (20, 6), (30, 7)]
    assert images.name(2) == f'{tmp_path}/1.tar:b/x.png'
    loader = DataLoader(images, batch_size=3, num_workers=1, collate_fn=collate_views)
    assert next(iter(loader))['inputs'].float().mean(dim=(1, 2, 3)).tolist() == [10, 20, 30]
    assert len(TarShards(str(tmp_path / '1*.tar'), **EVALUATION)) == 1


def test_tar_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='matches no file'):
        TarShards(str(tmp_path), **EVALUATION)
    write_tar(tmp_path / '0.tar', {'a.txt': b'text'})
    with pytest.raises(FileNotFoundError, match='hold no images'):
        TarShards(str(tmp_path), **EVALUATION)
    write_tar(tmp_path / '1.tar', {'a.png': encode(flat_image(0)), 'b.png': encode(flat_image(0)), 'b.cls': b'1'})
    with pytest.raises(ValueError, match='some images have a label'):
        TarShards(str(tmp_path), **EVALUATION)
    write_tar(tmp_path / '0.tar', {'a.png': encode(flat_image(0))}, 'w:gz')
    with pytest.raises(ValueError, match='unpack .tar.gz to .tar first'):
        TarShards(str(tmp_path), **EVALUATION)


def test_every_image_of_a_tar_is_a_sample(tmp_path: Path) -> None:
    names = ['photo.0.png', 'photo.1.png', '2024.01.05.png', '1.jpg', '1.png', '.hidden.png', 'a/._x.jpg']
    members = {name: encode(flat_image(10 * number), name[-4:]) for number, name in enumerate(names)}
    labels = {'photo.0.cls': b'3', 'photo.cls': b'4', '2024.cls': b'5', '1.cls': b'6'}
    write_tar(tmp_path / '0.tar', members | labels)
    images = TarShards(str(tmp_path), **EVALUATION)
    found = {images.name(i).rpartition(':')[2]: (value_of(images[i]), images.label(i)) for i in range(len(images))}
    assert found == {
        'photo.0.png': (0, 3),
        'photo.1.png': (10, 4),
        '2024.01.05.png': (20, 5),
        '1.jpg': (30, 6),
        '1.png': (40, 6),
    }
    write_tar(tmp_path / '1.tar', {'x.png': encode(flat_image(0)), 'x.cls': b'cat'})
    with pytest.raises(ValueError, match=r"1\.tar:x\.cls holds b'cat', which is not a class number"):
        TarShards(str(tmp_path), **EVALUATION)
    write_tar(tmp_path / '1.tar', {'x.png': encode(flat_image(0)), 'x.cls': b'2147483648'})
    with pytest.raises(ValueError, match=r'1\.tar:x\.cls holds 2147483648; a class number is at most 2147483647'):
        TarShards(str(tmp_path), **EVALUATION)


def test_an_image_that_a_later_one_replaces_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(tar_members, 'print_log', lambda text, **options: said.append(text))
    with tarfile.open(tmp_path / '0.tar', 'w') as tar:
        for value in (10, 20):
            content = encode(flat_image(value))
            member = tarfile.TarInfo('a.png')
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    images = TarShards(str(tmp_path), **EVALUATION)
    assert [value_of(images[i]) for i in range(len(images))] == [20]
    assert len(said) == 1 and '1 images are left out, because a later file has the same name: a.png' in said[0]


def test_images_that_are_links_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(tar_members, 'print_log', lambda text, **options: said.append(text))
    (tmp_path / 'a.png').write_bytes(encode(flat_image(10)))
    (tmp_path / 'b.png').hardlink_to(tmp_path / 'a.png')
    (tmp_path / 'c.png').symlink_to('a.png')
    with tarfile.open(tmp_path / '0.tar', 'w') as tar:
        for name in 'abc':
            tar.add(tmp_path / f'{name}.png', f'{name}.png')
    images = TarShards(str(tmp_path), **EVALUATION)
    assert len(images) == 1 and value_of(images[0]) == 10
    assert '0.tar: 2 images are links and are left out' in said[0]


@pytest.mark.parametrize('names', [['a.png', 'num-samples', '._a.png'], ['a', 'num-samples']])
def test_bookkeeping_of_an_lmdb_is_no_image(names: list[str], tmp_path: Path) -> None:
    write_lmdb(tmp_path, names)
    images = LmdbImages(str(tmp_path), **EVALUATION)
    assert [images.name(i) for i in range(len(images))] == [f'{tmp_path}:{names[0]}']

"""Sources of image files: what they find, in which order, with which labels, and what is an error."""

from pathlib import Path

import pytest
import torch

from mmssl.datasets.class_folder import ClassFolder
from mmssl.datasets.image_folder import ImageFolder
from mmssl.datasets.image_list import ImageList
from tests.support.image_files import EVALUATION, value_of, write_images


def test_folder_is_searched_to_any_depth_in_the_order_of_names(tmp_path: Path) -> None:
    write_images(tmp_path, ['b/x/2.PNG', 'a.png', 'b/1.png', 'c.jpg', '.hidden/3.png', '.4.png'])
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / 'b' / 'again').symlink_to(tmp_path)  # a circle
    images = ImageFolder(str(tmp_path), **EVALUATION)
    assert [Path(images.name(i)).relative_to(tmp_path).as_posix() for i in range(len(images))] == [
        'a.png',
        'b/1.png',
        'b/x/2.PNG',
        'c.jpg',
    ]
    assert [value_of(images[i]) for i in range(4)] == [10, 20, 0, 30]
    assert images[2]['data_samples'] == dict(index=2, label=-1)


def test_splits_share_no_image_and_leave_none_out(tmp_path: Path) -> None:
    write_images(tmp_path, [f'{i:02d}.png' for i in range(25)])
    train, val = (ImageFolder(str(tmp_path), split=split, val_every=4, **EVALUATION) for split in ('train', 'val'))
    values = [[value_of(images[i]) for i in range(len(images))] for images in (train, val)]
    assert values[1] == [0, 40, 80, 120, 160, 200, 240]
    assert sorted(values[0] + values[1]) == [10 * i for i in range(25)]


@pytest.mark.parametrize('source', [ImageFolder, ClassFolder])
def test_missing_and_empty_folders(source: type, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='is not a folder'):
        source(str(tmp_path / 'nowhere'), **EVALUATION)
    with pytest.raises(FileNotFoundError, match='holds no images'):
        source(str(tmp_path), **EVALUATION)


def test_class_folders(tmp_path: Path) -> None:
    write_images(tmp_path, ['dog/0.png', 'cat/1.png', 'dog/deep/2.png', 'emu/3.png'])
    images = ClassFolder(str(tmp_path), **EVALUATION)
    assert images.metainfo == dict(classes=('cat', 'dog', 'emu'))
    assert [(value_of(item), item['data_samples']['label']) for item in map(images.__getitem__, range(4))] == [
        (10, 0),
        (0, 1),
        (20, 1),
        (30, 2),
    ]


def test_image_beside_class_folders(tmp_path: Path) -> None:
    write_images(tmp_path, ['dog/0.png', 'stray.png'])
    with pytest.raises(ValueError, match='stray.png lies in no class folder.*ImageFolder'):
        ClassFolder(str(tmp_path), **EVALUATION)


@pytest.mark.parametrize(
    ('lines', 'labels'),
    [
        ('b.png 1\n# note\n\na b.png 0\n', [1, 0]),
        ('b.png\na b.png\n', [-1, -1]),
    ],
)
def test_list(lines: str, labels: list[int], tmp_path: Path) -> None:
    write_images(tmp_path / 'images', ['a b.png', 'b.png'])
    (tmp_path / 'list.txt').write_text(lines)
    images = ImageList(str(tmp_path / 'list.txt'), data_root=str(tmp_path / 'images'), **EVALUATION)
    assert [value_of(images[i]) for i in range(2)] == [10, 0]
    assert [images.label(i) for i in range(2)] == labels


def test_list_is_relative_to_its_folder_and_takes_absolute_paths(tmp_path: Path) -> None:
    write_images(tmp_path, ['a.png', 'b.png'])
    (tmp_path / 'list.txt').write_text(f'b.png\n{tmp_path}/a.png')
    images = ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    assert [value_of(images[i]) for i in range(2)] == [10, 0]


def test_list_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='is not a file'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    (tmp_path / 'list.txt').write_text('a.png 1\nb.png\n')
    with pytest.raises(ValueError, match='list.txt:2: some lines have a label'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    (tmp_path / 'list.txt').write_text('\n')
    with pytest.raises(FileNotFoundError, match='holds no images'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)


def test_ten_thousand_files_cost_no_list_of_names(tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text(''.join(f'images/{i:05d}.png {i % 7}\n' for i in range(10_000)))
    images = ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    members = vars(images).values()
    assert not any(isinstance(member, (list, dict, tuple)) and len(member) > 10 for member in members)
    assert images.labels.dtype == torch.int32 and images.label(9_999) == 9_999 % 7

"""Sources of image files: what they find, in which order, with which labels, and what is an error."""

from pathlib import Path

import pytest
import torch
from PIL import Image

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
    with pytest.raises(ValueError, match='stray.png is not in a class folder.*ImageFolder'):
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
    (tmp_path / 'list.txt').write_text(f'# a comment\nb.png\n{tmp_path}/a.png\n#1.png')
    images = ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    assert [value_of(images[i]) for i in range(2)] == [10, 0]
    assert Path(images.name(2)).name == '#1.png'


def test_a_class_name_follows_a_file_of_bands(tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text('a.npy cat\nb.dcm dog\n')
    images = ImageList(str(tmp_path / 'list.txt'), bands=1, **EVALUATION)
    assert images.classes == ('cat', 'dog') and images.name(0) == f'{tmp_path}/a.npy'


def test_list_errors(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match='is not a file'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    (tmp_path / 'list.txt').write_text('a.png 1\nb.png\n')
    with pytest.raises(ValueError, match='list.txt:2: all lines must have the same kind of label'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    (tmp_path / 'list.txt').write_text('\n')
    with pytest.raises(FileNotFoundError, match='holds no images'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    (tmp_path / 'list.txt').write_text('a.png 1\n', encoding='utf-16')
    with pytest.raises(ValueError, match='list.txt is written in UTF-16: save it as UTF-8'):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)


def test_ten_thousand_files_cost_no_list_of_names(tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text(''.join(f'images/{i:05d}.png {i % 7}\n' for i in range(10_000)))
    images = ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    members = vars(images).values()
    assert not any(isinstance(member, (list, dict, tuple)) and len(member) > 10 for member in members)
    assert images.labels.dtype == torch.int32 and images.label(9_999) == 9_999 % 7


@pytest.mark.parametrize('ending', ['jfif', 'jpe', 'avif', 'tga', 'JPG', 'pnm'])
def test_endings_that_can_be_read_are_found(ending: str, tmp_path: Path) -> None:
    kind = {'jfif': 'JPEG', 'jpe': 'JPEG', 'JPG': 'JPEG', 'pnm': 'PPM'}.get(ending, ending)
    Image.new('RGB', (16, 16), (80, 80, 80)).save(tmp_path / f'a.{ending}', kind)
    assert value_of(ImageFolder(str(tmp_path), **EVALUATION)[0]) == pytest.approx(80, abs=2)


def test_what_is_left_out_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_images(tmp_path, ['a.png'])
    for name in ('b.heic', 'c.HEIC', 'notes', '.hidden.heic'):
        (tmp_path / name).touch()
    messages = []
    monkeypatch.setattr('mmssl.datasets.image_files.print_log', lambda message, **kwargs: messages.append(message))
    assert len(ImageFolder(str(tmp_path), **EVALUATION)) == 1
    assert messages == [f'{tmp_path}: skipped files without an image suffix: 2 .heic, 1 without ending']


def test_class_folders_linked_to_each_other_are_both_there(tmp_path: Path) -> None:
    write_images(tmp_path, ['cat/0.png', 'cat/1.png', 'dog/0.png'])
    (tmp_path / 'tiger').symlink_to(tmp_path / 'cat')
    images = ClassFolder(str(tmp_path), **EVALUATION)
    assert images.classes == ('cat', 'dog', 'tiger')
    assert [images.label(i) for i in range(len(images))] == [0, 0, 1, 2, 2]


def test_several_folders_share_their_classes(tmp_path: Path) -> None:
    write_images(tmp_path / 'a', ['dog/0.png', 'cat/1.png'])
    write_images(tmp_path / 'b', ['emu/0.png', 'dog/1.png', 'ant/2.png'])
    roots = [str(tmp_path / 'a'), str(tmp_path / 'b')]
    images = ClassFolder(roots, **EVALUATION)
    assert images.classes == ('ant', 'cat', 'dog', 'emu')
    found = {Path(images.name(i)).relative_to(tmp_path).as_posix(): images.label(i) for i in range(len(images))}
    assert found == {'a/cat/1.png': 1, 'a/dog/0.png': 2, 'b/ant/2.png': 0, 'b/dog/1.png': 2, 'b/emu/0.png': 3}
    assert value_of(images[4]) == 0
    assert len(ImageFolder(roots, **EVALUATION)) == 5


@pytest.mark.parametrize('separator', [' ', '\t', ', ', ',', ';'])
@pytest.mark.parametrize(
    ('labels', 'numbers'), [(['1', '0'], [1, 0]), (['3.0', '2'], [3, 2]), (['dog', 'big cat'], [1, 0])]
)
def test_lists_as_they_are_written(separator: str, labels: list[str], numbers: list[int], tmp_path: Path) -> None:
    write_images(tmp_path, ['a b.png', 'b.png'])
    lines = [f'{name}{separator}{label}' for name, label in zip(('b.png', 'a b.png'), labels)]
    (tmp_path / 'list.txt').write_text('\ufeff' + '\n'.join(lines), encoding='utf-8')
    images = ImageList(str(tmp_path / 'list.txt'), **EVALUATION)
    assert [value_of(images[i]) for i in range(2)] == [10, 0]
    assert [images.label(i) for i in range(2)] == numbers
    assert images.classes == (('big cat', 'dog') if labels[0] == 'dog' else None)


@pytest.mark.parametrize(
    ('lines', 'message'),
    [
        ('a.png 1\nb.png cat\n', 'list.txt:2.*first line has a number, this one a class name'),
        ('a.png 1 2\n', "list.txt:1: the label of a.png is '1 2'; it must be an integer"),
        ('a.png -1\n', "list.txt:1: the label of a.png is '-1'"),
        ('a.png 2147483647\nb.png 2147483648\n', 'list.txt:2: the label of b.png is 2147483648; .* at most 2147483647'),
    ],
)
def test_labels_that_are_unclear_are_refused(lines: str, message: str, tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text(lines)
    with pytest.raises(ValueError, match=message):
        ImageList(str(tmp_path / 'list.txt'), **EVALUATION)

"""Labels of a file are joined by name; noise on labels is deterministic and of the stated amount."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mmssl.datasets.relabelled_images import RelabelledImages, image_name, read_labels, write_labels
from mmssl.registry import DATASETS
from tests.datasets.test_packed import write_lmdb, write_tar
from tests.support.image_files import encode, flat_image

PLAIN = dict(type='CenterCropView', size=8)


@pytest.fixture
def folder(tmp_path):
    for number in range(6):
        path = tmp_path / 'images' / f'class {number % 2}' / f'{number}.png'
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9, 3), number, np.uint8)).save(path)
    return tmp_path / 'images'


def test_the_order_of_the_file_and_the_place_of_the_images_do_not_matter(folder, tmp_path):
    source = dict(type='ClassFolder', data_root=str(folder))
    plain = DATASETS.build(dict(source, transform=PLAIN))
    pixels = plain.load(3).mean()
    names = [image_name(plain, index) for index in range(len(plain))]
    assert names[0] == 'class 0/0.png'
    labels = {name: 10 + number for number, name in enumerate(names)}
    shuffled = list(reversed(labels.items()))[1:]  # the last image has no label
    write_labels(tmp_path / 'labels.txt', *zip(*shuffled), 'a comment')
    assert read_labels(tmp_path / 'labels.txt') == dict(shuffled)

    moved = folder.rename(tmp_path / 'moved')
    dataset = RelabelledImages(
        dict(type='ClassFolder', data_root=str(moved)), labels=str(tmp_path / 'labels.txt'), transform=PLAIN
    )
    assert len(dataset) == 5 and dataset.classes is None
    assert [dataset.label(index) for index in range(5)] == [10, 11, 12, 13, 14]
    item = dataset[3]
    assert item['data_samples'] == dict(index=3, label=13)
    assert item['inputs'].float().mean() == pixels


def test_a_name_may_begin_with_the_sign_of_a_comment(tmp_path):
    write_labels(tmp_path / 'labels.txt', ['#1.png', '2.png'], [3, 4], 'a comment 5')
    assert read_labels(tmp_path / 'labels.txt') == {'#1.png': 3, '2.png': 4}


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / 'labels.txt').write_text('1.png 3\n', encoding='utf-8-sig')
    assert read_labels(tmp_path / 'labels.txt') == {'1.png': 3}


def test_labels_of_another_dataset_and_lines_without_label_are_refused(folder, tmp_path):
    source, file = dict(type='ImageFolder', data_root=str(folder)), tmp_path / 'labels.txt'
    write_labels(file, ['other/0.png'], [1], 'comment')
    with pytest.raises(
        ValueError, match=r"it names images such as 'other/0.png', and none of .*, such as 'class 0/0.png'"
    ):
        RelabelledImages(source, labels=str(file), transform=PLAIN)
    for line in ('class 0/0.png', 'class 0/0.png 2147483648'):
        file.write_text(f'{line}\n')
        with pytest.raises(ValueError, match='labels.txt:1: a line must be "name label"'):
            RelabelledImages(source, labels=str(file), transform=PLAIN)
    with pytest.raises(FileNotFoundError, match='is not a file: set labels'):
        RelabelledImages(source, labels=str(tmp_path / 'none.txt'), transform=PLAIN)


def test_noise_changes_its_share_of_the_labels_and_the_seed_decides():
    def labels(**noise):
        dataset = RelabelledImages(dict(type='PhotoPatches', split='train'), num_classes=18, transform=PLAIN, **noise)
        return np.array([dataset.label(index) for index in range(len(dataset))])

    clean, noisy = labels(), labels(noise=0.5)
    assert (clean != noisy).mean() == pytest.approx(0.5 * (1 - 1 / 18), abs=0.02)
    assert (noisy == labels(noise=0.5)).all() and (noisy != labels(noise=0.5, noise_seed=1)).any()
    assert np.bincount(labels(noise=1.0)).min() > 300  # of 400 a class
    with pytest.raises(ValueError, match='needs num_classes'):
        RelabelledImages(dict(type='PhotoPatches'), noise=0.1, transform=PLAIN)


def test_noise_of_classes_that_do_not_exist_is_refused(folder):
    with pytest.raises(ValueError, match=r'num_classes is 3, and ClassFolder\(.*\) has 2 classes'):
        RelabelledImages(dict(type='ClassFolder', data_root=str(folder)), noise=0.1, num_classes=3, transform=PLAIN)


def test_images_without_a_label_stay_left_out_under_noise(folder, tmp_path):
    write_labels(tmp_path / 'labels.txt', ['class 0/0.png', 'class 1/1.png'], [0, 1], 'comment')
    dataset = RelabelledImages(
        dict(type='ImageFolder', data_root=str(folder)),
        labels=str(tmp_path / 'labels.txt'),
        noise=1.0,
        num_classes=2,
        transform=PLAIN,
    )
    assert [image_name(dataset.dataset, int(row)) for row in dataset._rows] == ['class 0/0.png', 'class 1/1.png']


def test_a_file_of_labels_appears_once_it_is_whole(tmp_path):
    write_labels(tmp_path / 'labels.txt', ['a'], [1], 'first')

    def failing():
        yield 2
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_labels(tmp_path / 'labels.txt', ['a', 'b'], failing(), 'second')
    assert read_labels(tmp_path / 'labels.txt') == dict(a=1)


def test_names_are_relative_to_a_folder_with_a_slash_at_its_end(folder):
    dataset = DATASETS.build(dict(type='ImageFolder', data_root=f'{folder}/', transform=PLAIN))
    assert image_name(dataset, 0) == 'class 0/0.png'


def test_names_in_archives_do_not_tell_where_they_are(tmp_path):
    for place in ('here', 'there'):
        (tmp_path / place / 'tars').mkdir(parents=True)
        write_lmdb(tmp_path / place / 'lmdb', ['a/1.png', 'b/2.png'])
        write_tar(tmp_path / place / 'tars' / 'x-1.tar', {'1.png': encode(flat_image(1))})
        for name, kind, expected in (
            ('lmdb', 'LmdbImages', 'a/1.png'),
            ('lmdb/', 'LmdbImages', 'a/1.png'),
            ('tars', 'TarShards', 'x-1.tar:1.png'),
            ('tars/x-*.tar', 'TarShards', 'x-1.tar:1.png'),
        ):
            dataset = DATASETS.build(dict(type=kind, data_root=f'{tmp_path}/{place}/{name}', transform=PLAIN))
            assert image_name(dataset, 0) == expected


def test_names_of_a_concatenation_are_whole_paths(folder, tmp_path):
    parts = [dict(type='ImageFolder', data_root=f'{folder}/class {number}') for number in range(2)]
    (tmp_path / 'labels.txt').write_text(f'{folder}/class 1/3.png 5\n')
    dataset = RelabelledImages(
        dict(type='ConcatDataset', datasets=parts), labels=str(tmp_path / 'labels.txt'), transform=PLAIN
    )
    assert [dataset.name(0), dataset.label(0)] == [f'{folder}/class 1/3.png', 5] and len(dataset) == 1


def test_images_without_labels_and_names_that_begin_with_a_space(folder, tmp_path):
    with pytest.raises(ValueError, match='has no labels: give a file of labels'):
        RelabelledImages(dict(type='ImageFolder', data_root=str(folder)), transform=PLAIN)
    write_labels(tmp_path / 'labels.txt', [' a/b.png'], [3], 'a comment')
    assert read_labels(tmp_path / 'labels.txt') == {' a/b.png': 3}


def test_a_name_with_two_labels_is_refused(tmp_path):
    file = tmp_path / 'labels.txt'
    file.write_text('1.png 3\n2.png 4\n1.png 3\n')
    assert read_labels(file) == {'1.png': 3, '2.png': 4}
    file.write_text('1.png 3\n2.png 4\n1.png 5\n')
    with pytest.raises(ValueError, match=r"labels.txt:3: '1.png' has the labels 3 and 5"):
        read_labels(file)


@pytest.mark.parametrize('number', [0, -3, None])
def test_noise_without_classes_is_refused(folder, number):
    with pytest.raises(ValueError, match=f'needs num_classes >= 1, got 0.5 and {number}'):
        RelabelledImages(
            dict(type='ClassFolder', data_root=str(folder)), noise=0.5, num_classes=number, transform=PLAIN
        )

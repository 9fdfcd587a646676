"""Several sources as one: images, labels, names and seeds; weights; and what is refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from mmssl.datasets.concat_dataset import ConcatDataset
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.datasets.relabelled_images import RelabelledImages
from mmssl.datasets.repeat_dataset import RepeatDataset
from mmssl.datasets.salient_images import SalientImages
from mmssl.registry import DATASETS
from tests.support.image_files import EVALUATION, TRAINING, value_of, write_images


@pytest.fixture
def roots(tmp_path: Path) -> list[dict]:
    write_images(tmp_path / 'a', ['dog/0.png', 'cat/1.png'])
    write_images(tmp_path / 'b', ['emu/0.png', 'dog/1.png', 'ant/2.png'])
    return [dict(type='ClassFolder', data_root=str(tmp_path / name)) for name in 'ab']


@pytest.mark.parametrize('kind', ['RelabelledImages', 'SalientImages'])
def test_a_dataset_around_repeated_images_keeps_them_in_one_split(kind: str, tmp_path: Path) -> None:
    write_images(tmp_path, [f'{number % 2}/{number}.png' for number in range(7)])
    repeated = dict(type='RepeatDataset', dataset=dict(type='ClassFolder', data_root=str(tmp_path)), times=3)
    train, val = (
        DATASETS.build(dict(type=kind, dataset=repeated, split=split, val_every=3, **EVALUATION))
        for split in ('train', 'val')
    )
    names = [[dataset.name(index) for index in range(len(dataset))] for dataset in (train, val)]
    assert [len(part) for part in names] == [4 * 3, 3] and not set(names[0]) & set(names[1])


def test_images_labels_and_names_of_all_sources(roots: list[dict]) -> None:
    images = ConcatDataset(roots, **EVALUATION)
    assert images.classes == ('ant', 'cat', 'dog', 'emu')
    found = [(Path(images.name(i)).parent.name, images.label(i), value_of(images[i])) for i in range(len(images))]
    assert found == [('cat', 1, 10), ('dog', 2, 0), ('ant', 0, 20), ('dog', 2, 10), ('emu', 3, 0)]


def test_weights_repeat_a_source_with_other_augmentations(roots: list[dict]) -> None:
    images = ConcatDataset(roots, weights=[3, 1], **TRAINING)
    assert EpochSampler(images, seed=7).dataset_size == len(images) == 9
    assert images.seed == 7
    assert [images.label(i) for i in range(9)] == [1, 2, 1, 2, 1, 2, 0, 2, 3]
    programs = [torch.stack(images[(0, i)]['photometric']) for i in (0, 2, 4)]
    assert not torch.equal(programs[0], programs[1]) and not torch.equal(programs[0], programs[2])
    again = torch.stack(ConcatDataset(roots, weights=[3, 1], seed=7, **TRAINING)[(0, 2)]['photometric'])
    assert torch.equal(again, programs[1])
    assert len(RepeatDataset(roots[0], 4, **EVALUATION)) == 8


def test_no_image_is_in_both_parts_of_a_split(roots: list[dict]) -> None:
    parts = [ConcatDataset(roots, weights=[3, 2], split=split, val_every=2, **EVALUATION) for split in ('train', 'val')]
    train, val = ([part.name(i) for i in range(len(part))] for part in parts)
    assert not set(train) & set(val)
    assert (len(set(train)), len(train), len(val)) == (2, 3 + 2, 3)
    assert len(set(val)) == len(val)  # an image is evaluated once


def test_sources_without_labels(roots: list[dict]) -> None:
    plain = [dict(source, type='ImageFolder') for source in roots]
    assert (ConcatDataset(plain, **EVALUATION).classes, ConcatDataset(plain, **EVALUATION).label(4)) == (None, -1)
    mixed = ConcatDataset([roots[0], plain[1]], **EVALUATION)
    assert [mixed.label(i) for i in range(5)] == [0, 1, -1, -1, -1]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(weights=[1]), r'for each of the 2 datasets, got \[1\]'),
        (dict(weights=[1, 0.5]), 'one integer >= 1'),
        (dict(weights=[1, 'a']), 'one integer >= 1'),
        (dict(datasets=[]), 'for each of the 0 datasets'),
    ],
)
def test_wrong_arguments(change: dict, message: str, roots: list[dict]) -> None:
    with pytest.raises(ValueError, match=message):
        ConcatDataset(**{'datasets': roots, **EVALUATION, **change})


def test_views_stand_in_one_place(roots: list[dict]) -> None:
    with pytest.raises(ValueError, match=r'datasets\[1\] has transform: give it once'):
        ConcatDataset([roots[0], dict(roots[1], **EVALUATION)], **EVALUATION)
    with pytest.raises(ValueError, match='dataset has transform: give it once, beside dataset$'):
        RepeatDataset(dict(roots[1], **EVALUATION), times=2)


def test_labels_without_names_cannot_be_matched(roots: list[dict], tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text('a/dog/0.png 1')
    numbered = dict(type='ImageList', list_file=str(tmp_path / 'list.txt'))
    with pytest.raises(ValueError, match='labels without class names'):
        ConcatDataset([roots[0], numbered], **EVALUATION)
    assert ConcatDataset([numbered, numbered], **EVALUATION).label(1) == 1


def test_sources_take_the_value_range_unless_they_have_their_own(tmp_path: Path) -> None:
    (tmp_path / 'class').mkdir()
    cv2.imwrite(str(tmp_path / 'class' / '0.png'), np.full((8, 8), 4095, np.uint16))
    whole = dict(type='ClassFolder', data_root=str(tmp_path))
    own = dict(whole, value_range=(0, 8190))
    images = ConcatDataset([whole, own], value_range=(0, 4095), **EVALUATION)
    assert [value_of(images[i]) for i in range(2)] == [255, 128]
    for source, value in ((whole, 255), (own, 128)):
        assert value_of(RelabelledImages(source, value_range=(0, 4095), **EVALUATION)[0]) == value


def test_sources_take_the_bands(tmp_path: Path) -> None:
    np.save(tmp_path / '0.npy', np.full((9, 9, 4), 7, np.uint8))
    images = ConcatDataset([dict(type='ImageFolder', data_root=str(tmp_path))], bands=4, **EVALUATION)
    assert images.load(0).shape == (9, 9, 4)


@pytest.mark.parametrize('around', [RelabelledImages, SalientImages])
def test_reduced_decoding_stands_outside(around: type, roots: list[dict]) -> None:
    source = dict(roots[0], reduced_decoding=1.0)
    with pytest.raises(ValueError, match='dataset has reduced_decoding: give it once, beside dataset'):
        around(source, **TRAINING)
    with pytest.raises(ValueError, match=r'datasets\[0\] has reduced_decoding: give it once, beside datasets'):
        ConcatDataset([source], **TRAINING)


def test_bands_of_the_datasets(tmp_path: Path) -> None:
    for number in (3, 5):
        np.save(tmp_path / f'{number}.npy', np.zeros((8, 8, number), np.uint8))
    sources = [dict(type='ImageFolder', data_root=str(tmp_path), bands=number) for number in (5, 5, 3)]
    assert ConcatDataset(sources[:2], **EVALUATION).num_bands == 5  # a run compares it with views and model
    with pytest.raises(ValueError, match=r'different numbers of bands: .* 5, .* 5, .* 3; set bands beside datasets'):
        ConcatDataset(sources, **EVALUATION)

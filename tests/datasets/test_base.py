"""ImageDataset: what an item is, what its randomness depends on, and what happens to unreadable images."""

import os
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from mmssl.datasets.collate_views import collate_views
from mmssl.datasets.epoch_sampler import EpochSampler
from mmssl.datasets.image_folder import ImageFolder
from tests.support.image_files import EVALUATION, TRAINING, value_of, write_images

CENTER, SAME = dict(type='CenterCropView', size=8), dict(type='SameView', size=8)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    write_images(tmp_path, [f'{i}.png' for i in range(12)])
    return str(tmp_path)


def batches(folder: str, seed: int, epoch: int, num_workers: int, start: int = 0) -> list[dict]:
    images = ImageFolder(folder, seed=seed, **TRAINING)
    sampler = EpochSampler(images, seed=seed)
    sampler.set_epoch(epoch)
    sampler.set_start(start)
    return list(DataLoader(images, 4, sampler=sampler, num_workers=num_workers, collate_fn=collate_views))


def same(one: dict, other: dict) -> bool:
    pairs = [
        *zip(one['inputs'] + one['photometric'], other['inputs'] + other['photometric']),
        (one['data_samples']['index'], other['data_samples']['index']),
    ]
    return all(torch.equal(a, b) for a, b in pairs)


def test_items(folder: str) -> None:
    item = ImageFolder(folder, **TRAINING)[(3, 7)]
    assert [(view.shape, view.dtype) for view in item['inputs']] == [((3, 8, 8), torch.uint8)] * 2
    assert [(program.shape, program.dtype) for program in item['photometric']] == [((7, 2), torch.float32)] * 2
    assert item['data_samples'] == dict(index=7, label=-1) and item['skipped'] == []
    assert set(ImageFolder(folder, **EVALUATION)[7]) == {'inputs', 'data_samples', 'skipped'}


def test_batches_are_the_same_with_any_number_of_workers_and_after_a_resume(folder: str) -> None:
    expected = batches(folder, seed=0, epoch=2, num_workers=0)
    assert len(expected) == 3
    assert all(map(same, expected, batches(folder, seed=0, epoch=2, num_workers=2)))
    resumed = batches(folder, seed=0, epoch=2, num_workers=1, start=4)
    assert len(resumed) == 2 and all(map(same, expected[1:], resumed))


def test_views_differ_over_seeds_epochs_images_and_views(folder: str) -> None:
    views = [dict(type='AugmentedView', size=8, blur=1.0)] * 2  # every program holds a sigma
    images = {seed: ImageFolder(folder, seed=seed, views=views) for seed in (0, 1)}
    items = [images[0][(0, 3)], images[1][(0, 3)], images[0][(1, 3)], images[0][(0, 4)]]
    programs = {tuple(program.flatten().tolist()) for item in items for program in item['photometric']}
    assert len(programs) == 8
    assert images[0][3]['photometric'][1].equal(images[0][(0, 3)]['photometric'][1])


def test_views_of_several_sizes(folder: str) -> None:
    views = [dict(type='AugmentedView', size=8)] * 2 + [dict(type='AugmentedView', size=4, max_scale=0.3)] * 3
    images = ImageFolder(folder, views=views)
    batch = collate_views([images[0], images[1]])
    assert [tuple(view.shape) for view in batch['inputs']] == [(2, 3, 8, 8)] * 2 + [(2, 3, 4, 4)] * 3


def test_unreadable_image_is_replaced_by_the_same_one_each_time(folder: str) -> None:
    (Path(folder) / '0.png').write_bytes(b'damaged')
    images = ImageFolder(folder, seed=5, **EVALUATION)
    item = images[(1, 0)]
    assert item['skipped'] == [f"{folder}/0.png (not an image file of a known format: it begins with b'damaged')"]
    found = item['data_samples']['index']
    assert images.name(found) == f'{folder}/{value_of(item) // 10}.png' != f'{folder}/0.png'
    assert images[(1, 0)]['data_samples']['index'] == found
    assert len({images[(epoch, 0)]['data_samples']['index'] for epoch in range(20)}) > 3
    assert collate_views([images[1], item])['skipped'] == item['skipped']


def test_a_name_that_is_not_utf8_can_be_reported(folder: str) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b'/\xff.png')).write_bytes(b'damaged')
    images = ImageFolder(folder, **EVALUATION)
    (skipped,) = images[len(images) - 1]['skipped']
    assert skipped.encode('utf-8').startswith(f'{folder}/\\udcff.png (not an image file'.encode())


def test_a_split_without_images_is_not_an_empty_folder(tmp_path: Path) -> None:
    write_images(tmp_path, ['only.png'])
    with pytest.raises(FileNotFoundError, match="holds 1 images, and none of them is in split='train'"):
        ImageFolder(str(tmp_path), split='train', **EVALUATION)


def test_nothing_readable_is_an_error(folder: str) -> None:
    for path in Path(folder).iterdir():
        path.write_bytes(b'')
    with pytest.raises(ValueError, match='20 images in a row cannot be read.*Check that the storage is mounted'):
        ImageFolder(folder, **EVALUATION)[0]


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(), 'either views'),
        (dict(**TRAINING, **EVALUATION), 'either views'),
        (dict(views=[]), 'views is empty'),
        (dict(views=[dict(type='SquareView', size=8)]), 'SquareView cannot stand in views, only in transform'),
        (dict(transform=TRAINING['views'][0]), 'AugmentedView is random, so it cannot be the transform'),
        (dict(views=[CENTER, SAME]), 'and the view before it is CenterCropView'),
        (dict(views=[dict(type='PaddedCropView', size=8), SAME]), 'and the view before it is PaddedCropView'),
        (dict(bands=3, views=[dict(type='SupervisedView', size=8)]), 'SupervisedView reads RGB alone'),
        (dict(bands=5, views=[dict(type='TileView', size=6, crop=9)]), 'TileView reads RGB alone'),
        (dict(bands=3, views=[dict(type='AugmentedView', size=8, interpolation='lanczos')]), "got interpolation='lan"),
        (dict(**EVALUATION, split='test'), "got 'test'"),
        (dict(**EVALUATION, split='val', val_every=1), 'and 1'),
        (dict(**EVALUATION, value_range=(4095, 0)), r'black < white, got \(4095, 0\)'),
    ],
)
def test_wrong_arguments(arguments: dict, message: str, folder: str) -> None:
    with pytest.raises(ValueError, match=message):
        ImageFolder(folder, **arguments)

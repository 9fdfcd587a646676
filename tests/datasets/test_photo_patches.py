"""Photo patches: sizes, seeds, and above all that training and test share no pixel."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmssl.datasets.photo_patches import SPLITS, PhotoPatches, cut_patches, draw_patches, photo_paths

EVALUATION = dict(transform=dict(type='CenterCropView', size=32))


def test_training_and_test_share_no_pixel() -> None:
    for number, path in enumerate(photo_paths()):
        height, width = Image.open(path).size[::-1]
        covered = []
        for colour, count in SPLITS.values():
            mask = np.zeros((height, width), bool)
            for top, left, side in draw_patches(
                np.random.default_rng((0, colour, number)), height, width, colour, count
            ):
                assert top >= 0 and left >= 0 and top + side <= height and left + side <= width
                mask[top : top + side, left : left + side] = True
            covered.append(mask)
        assert covered[0].any() and covered[1].any()
        assert not (covered[0] & covered[1]).any(), path.name


def test_sides_span_the_whole_range_and_stay_within_one_cell() -> None:
    boxes = draw_patches(np.random.default_rng(0), 191, 384, 0, 5000)
    tops, lefts, sides = boxes.T
    assert sides.min() == 32 and sides.max() == 64
    assert (tops // 64 == (tops + sides - 1) // 64).all() and (lefts // 64 == (lefts + sides - 1) // 64).all()
    assert set(tops // 64) == {0, 1} and set(lefts // 64) == set(range(6))  # whole cells only: 2 x 6


def test_patches_are_those_of_the_photograph_with_their_label() -> None:
    dataset = PhotoPatches(split='test', **EVALUATION)
    assert len(dataset) == 18 * 60 and len(dataset.classes) == 18
    labels = [dataset.label(index) for index in range(len(dataset))]
    assert labels == sorted(labels) and np.bincount(labels).tolist() == [60] * 18
    assert dataset.classes[0] == 'astronaut' and dataset.classes[-1] == 'china'
    item = dataset[2 * 60]
    assert item['data_samples'] == dict(index=120, label=2)
    assert item['inputs'].dtype == torch.uint8 and item['inputs'].shape == (3, 32, 32)
    assert torch.equal(item['inputs'][0], item['inputs'][2])  # camera is grey
    assert not torch.equal(dataset[0]['inputs'][0], dataset[0]['inputs'][2])


def test_training_set_is_seeded_and_cut_once() -> None:
    assert len(PhotoPatches(**EVALUATION)) == 18 * 400
    patches = cut_patches('test', 16, 0)
    assert cut_patches('test', 16, 0) is patches
    cut_patches.cache_clear()
    assert np.array_equal(cut_patches('test', 16, 0), patches)
    assert not np.array_equal(cut_patches('test', 16, 1), patches)


def test_views_are_augmented() -> None:
    item = PhotoPatches(split='test', views=[dict(type='AugmentedView', size=32)] * 2)[(3, 5)]
    assert len(item['inputs']) == 2 and item['inputs'][0].shape == (3, 32, 32)
    assert not torch.equal(*item['inputs'])


def test_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="'train' or 'test', got 'val'"):
        PhotoPatches(split='val', **EVALUATION)

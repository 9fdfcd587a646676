"""ImageNet-1k: the labels of each of the layouts it comes in."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from mmssl.datasets.image_net1k import ImageNet1k
from tests.support.image_files import EVALUATION, value_of, write_images

VAL = [f'val/ILSVRC2012_val_{i:08d}.JPEG' for i in (1, 2, 3)]
SYNSETS = ('n01440764', 'n01443537', 'n02119789')


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path, [f'train/{SYNSETS[1]}/a.JPEG', f'train/{SYNSETS[0]}/b.JPEG'])
    return tmp_path


def labels_of(images: ImageNet1k) -> list[int]:
    return [images.label(i) for i in range(len(images))]


def test_train(root: Path) -> None:
    images = ImageNet1k(str(root), **EVALUATION)
    assert (labels_of(images), images.classes) == ([0, 1], SYNSETS[:2])
    assert value_of(images[0]) == 10


@pytest.mark.parametrize('stray', ['stray.JPEG', f'{SYNSETS[0]}/deeper/stray.JPEG'])
def test_training_images_without_a_class_are_refused(root: Path, stray: str) -> None:
    write_images(root, [f'train/{stray}'])
    with pytest.raises(ValueError, match=rf'{stray} is not in .*/train/<synset>/'):
        ImageNet1k(str(root), **EVALUATION)


def test_training_images_without_any_class_are_refused(tmp_path: Path) -> None:
    write_images(tmp_path, ['train/a.JPEG', 'train/b.JPEG'])
    with pytest.raises(ValueError, match=r'a.JPEG is not in .*/train/<synset>/'):
        ImageNet1k(str(tmp_path), **EVALUATION)


def test_val_in_class_folders(root: Path) -> None:
    write_images(root, [f'val/{SYNSETS[2]}/1.JPEG', f'val/{SYNSETS[0]}/2.JPEG'])
    images = ImageNet1k(str(root), split='val', **EVALUATION)
    assert (labels_of(images), images.classes) == ([0, 1], (SYNSETS[0], SYNSETS[2]))


def test_val_with_a_list_of_synsets(root: Path) -> None:
    write_images(root, VAL)
    (root / 'imagenet_2012_validation_synset_labels.txt').write_text(
        '\n'.join(SYNSETS[i] for i in (2, 0, 1)), encoding='utf-8-sig'
    )
    images = ImageNet1k(str(root), split='val', **EVALUATION)
    assert (labels_of(images), images.classes) == ([2, 0, 1], SYNSETS)


def test_val_with_the_development_kit(root: Path) -> None:
    write_images(root, VAL)
    folder = root / 'ILSVRC2012_devkit_t12' / 'data'
    folder.mkdir(parents=True)
    (folder / 'ILSVRC2012_validation_ground_truth.txt').write_text('1\n3\n2\n')
    kind = [('ILSVRC2012_ID', 'O'), ('WNID', 'O')]
    rows = np.array([(1, SYNSETS[2]), (2, SYNSETS[0]), (3, SYNSETS[1])], dtype=kind)  # the kit has its own order
    savemat(folder / 'meta.mat', dict(synsets=rows[:, None]))
    assert labels_of(ImageNet1k(str(root), split='val', **EVALUATION)) == [2, 1, 0]


def test_a_subset_keeps_the_labels_of_the_whole(root: Path) -> None:
    write_images(root, [f'train/{SYNSETS[2]}/{SYNSETS[2]}_{i}.JPEG' for i in range(4)])
    (root / 'subsets').mkdir()
    (root / 'subsets' / '1percent.txt').write_text(f'{SYNSETS[2]}_3.JPEG\n{SYNSETS[2]}_1.JPEG\n')
    images = ImageNet1k(str(root), subset='subsets/1percent.txt', **EVALUATION)
    assert (labels_of(images), images.classes) == ([2, 2], SYNSETS)
    assert [value_of(images[i]) for i in range(2)] == [30, 10]
    with pytest.raises(FileNotFoundError, match='SimCLR publishes'):
        ImageNet1k(str(root), subset='subsets/10percent.txt', **EVALUATION)
    (root / 'subsets' / 'other.txt').write_text('n99_1.JPEG\n')
    with pytest.raises(ValueError, match='such as n99'):
        ImageNet1k(str(root), subset='subsets/other.txt', **EVALUATION)
    with pytest.raises(ValueError, match="subset needs split='train'"):
        ImageNet1k(str(root), split='val', subset='subsets/1percent.txt', **EVALUATION)


def test_errors(root: Path) -> None:
    write_images(root, VAL)
    with pytest.raises(ValueError, match="'train' or 'val', got 'test'"):
        ImageNet1k(str(root), split='test', **EVALUATION)
    with pytest.raises(FileNotFoundError, match='unpack the development kit'):
        ImageNet1k(str(root), split='val', **EVALUATION)
    (root / 'imagenet_2012_validation_synset_labels.txt').write_text(SYNSETS[0])
    with pytest.raises(ValueError, match='3 images, but the labels have 1 lines'):
        ImageNet1k(str(root), split='val', **EVALUATION)

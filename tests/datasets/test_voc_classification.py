"""VOC as a data set of several labels an image."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmssl.datasets.voc_classification import VOCClassification
from tests.support.image_files import EVALUATION, value_of, write_images


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_images(tmp_path / 'JPEGImages', [f'00000{i}.jpg' for i in range(4)])
    lists = tmp_path / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    (lists / 'trainval.txt').write_text('000003\n000001\n')  # of all images, without a class
    (lists / 'dog_trainval.txt').write_text('000003  1\n000001\t-1\n', encoding='utf-8-sig')
    (lists / 'cat_trainval.txt').write_text('000003  0\n000001  1\n')
    (lists / 'cat_test.txt').write_text('000002 -1\n')
    return tmp_path


def test_targets_of_the_lists(root: Path) -> None:
    images = VOCClassification(str(root), **EVALUATION)
    assert images.classes == ('cat', 'dog')
    assert images.targets.tolist() == [[-1, 1], [1, 0]]  # difficult, there; there, absent
    assert [value_of(images[i]) for i in range(2)] == [30, 10] and images.label(0) == -1
    assert VOCClassification(str(root), split='test', **EVALUATION).targets.tolist() == [[0]]


def test_errors(root: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'holds no lists \*_val.txt'):
        VOCClassification(str(root), split='val', **EVALUATION)
    (root / 'ImageSets' / 'Main' / 'dog_trainval.txt').write_text('000001 1\n000003 1\n')
    with pytest.raises(ValueError, match='dog_trainval.txt must list the same images as'):
        VOCClassification(str(root), **EVALUATION)
    (root / 'ImageSets' / 'Main' / 'cat_trainval.txt').write_text('')
    with pytest.raises(ValueError, match='dog_trainval.txt must list the same images as'):
        VOCClassification(str(root), **EVALUATION)
    for line in ('000003 2', '000003', '000003 yes'):
        (root / 'ImageSets' / 'Main' / 'dog_trainval.txt').write_text(f'000001 1\n{line}\n')
        with pytest.raises(ValueError, match=f'dog_trainval.txt:2: a line must be "name 1".*got {line!r}'):
            VOCClassification(str(root), **EVALUATION)

"""The data sets of a run number their classes alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmssl.datasets.class_folder import ClassFolder
from mmssl.datasets.class_numbers import compare_classes, share_classes
from mmssl.datasets.image_net1k import ImageNet1k
from mmssl.evaluation.loops import EmbeddingValLoop
from mmssl.utils.errors import UserError
from tests.support.image_files import EVALUATION, write_images
from tests.support.tiny_run import build_runner, tiny_config


def folder(path: Path, classes: str) -> ClassFolder:
    write_images(path, [f'{name}/0.png' for name in classes])
    return ClassFolder(str(path), **EVALUATION)


def numbers(dataset: ClassFolder) -> dict[str, int]:
    return {dataset.name(row).split('/')[-2]: dataset.label(row) for row in range(len(dataset))}


def test_a_missing_class_shifts_no_label(tmp_path: Path) -> None:
    train, val = folder(tmp_path / 'train', 'abcd'), folder(tmp_path / 'val', 'acd')
    share_classes(train.classes, val, 'val', is_closed=True)
    assert numbers(val) == dict(a=0, c=2, d=3) and val.classes == train.classes
    assert [val[row]['data_samples']['label'] for row in range(3)] == [0, 2, 3]
    share_classes(('d', 'c', 'b', 'a'), val, 'val')
    assert numbers(val) == dict(a=3, c=1, d=0)


def test_an_empty_class_folder_is_a_class(tmp_path: Path) -> None:
    (tmp_path / 'val' / 'b').mkdir(parents=True)
    (tmp_path / 'val' / '.cache').mkdir()
    val = folder(tmp_path / 'val', 'acd')
    assert numbers(val) == dict(a=0, c=2, d=3) and val.classes == ('a', 'b', 'c', 'd')
    write_images(tmp_path / 'train', ['n01/0.JPEG', 'n03/0.JPEG'])
    (tmp_path / 'train' / 'n02').mkdir()
    assert numbers(ImageNet1k(str(tmp_path), **EVALUATION)) == dict(n01=0, n03=2)


def test_further_classes_come_behind_and_are_a_mistake_for_a_classifier(tmp_path: Path) -> None:
    val = folder(tmp_path, 'abz')
    with pytest.raises(UserError, match='val has classes that the training set does not have.*: a, z'):
        share_classes(('b', 'c'), val, 'val', is_closed=True)
    share_classes(('b', 'c'), val, 'val')
    assert numbers(val) == dict(a=2, b=0, z=3) and val.classes == ('b', 'c', 'a', 'z')


def test_no_common_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='val has the classes a, b, and the training set has x: none is in both'):
        share_classes(('x',), folder(tmp_path, 'ab'), 'val')


def test_a_detector_is_not_tested_on_its_classes_in_another_order() -> None:
    compare_classes(('a', 'b'), ['a', 'b'])
    compare_classes(('a', 'b'), ('a', 'c'))  # other names are logged
    compare_classes(None, ('a', 'b'))
    with pytest.raises(UserError, match=r'has the classes b, a, and the model .* order a, b, .*set classes='):
        compare_classes(('a', 'b'), ('b', 'a'))


def test_labels_without_names_stay(tmp_path: Path) -> None:
    val = folder(tmp_path, 'ab')
    share_classes(None, val, 'val')
    assert numbers(val) == dict(a=0, b=1)


def test_queries_are_numbered_as_the_bank(tmp_path: Path) -> None:
    folder(tmp_path / 'bank', 'abc'), folder(tmp_path / 'queries', 'ac')
    bank, queries = (
        dict(
            dataset=dict(type='ClassFolder', data_root=str(tmp_path / name), **EVALUATION), batch_size=2, num_workers=0,
            sampler=dict(type='EpochSampler', shuffle=False), collate_fn=dict(type='collate_views'),
        )
        for name in ('bank', 'queries')
    )  # fmt: skip
    evaluator = dict(type='EmbeddingEvaluator', metrics=[dict(type='WeightedKNN', k=1)])
    loop = EmbeddingValLoop(build_runner(tiny_config(tmp_path / 'run')), queries, evaluator, bank)
    assert numbers(loop.dataloader.dataset) == dict(a=0, c=2)

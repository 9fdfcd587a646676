"""Own classes by one option: which names are read, and what of a config follows them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from mmengine.registry import init_default_scope

from mmssl.config.classes import datasets, heads_with_classes, palette, read_classes
from mmssl.config.load import load_config
from mmssl.utils.errors import UserError
from tests.support.tools import ROOT

needs_downstream = pytest.mark.skipif(
    any(find_spec(package) is None for package in ('mmcv', 'mmdet', 'mmseg')), reason='needs mmdet and mmseg'
)
DETECTION = ROOT / 'configs' / 'benchmarks' / 'mmdetection'
SEGMENTATION = ROOT / 'configs' / 'benchmarks' / 'mmsegmentation'


@pytest.fixture(autouse=True)
def _scope() -> Iterator[None]:
    yield
    init_default_scope('mmssl')


@pytest.mark.parametrize(
    ('value', 'names'),
    [
        ("('raccoon',)", ('raccoon',)),
        ("('raccoon')", ('raccoon',)),  # the comma that is easily forgotten
        ('raccoon', ('raccoon',)),
        ('WBC, RBC,Platelets', ('WBC', 'RBC', 'Platelets')),
        ("['traffic light', 'stop sign']", ('traffic light', 'stop sign')),
        ('(cat,dog)', ('cat', 'dog')),
        ((0, 1), ('0', '1')),
    ],
)
def test_names_are_read_as_people_write_them(value: object, names: tuple) -> None:
    assert read_classes(value) == names


def test_names_in_a_file(tmp_path: Path) -> None:
    (tmp_path / 'names.txt').write_text('\ufefftraffic light\n\nstop sign \n')
    assert read_classes(str(tmp_path / 'names.txt')) == ('traffic light', 'stop sign')
    with pytest.raises(UserError, match='this file does not exist; it has one name per line'):
        read_classes(str(tmp_path / 'none.txt'))


def test_names_that_make_no_sense() -> None:
    with pytest.raises(UserError, match='cat more than once'):
        read_classes('cat,dog,cat')
    with pytest.raises(UserError, match='one or more names'):
        read_classes('()')
    with pytest.raises(UserError, match='option of detection and segmentation configs'):
        load_config(ROOT / 'configs' / 'simclr' / 'simclr_resnet18_1xb512-200e_cifar10.py', {'classes': 'cat,dog'})


@needs_downstream
@pytest.mark.parametrize(
    'stem',
    [
        'cascade-mask-rcnn_r50-fpn_1x_coco',  # a list of heads
        'retinanet_r50-fpn_1x_coco',  # one stage
        'faster-rcnn_r50-c4_24k_voc0712',  # two data sets
        'mask-rcnn_vit-base_100e_coco',  # a repeated data set
        'faster-rcnn_itpn-tiny_coco-small',
    ],
)
def test_a_detection_config_is_for_the_classes(stem: str) -> None:
    cfg = load_config(DETECTION / f'{stem}.py', {'classes': "('raccoon', 'red panda')"})
    heads = dict(heads_with_classes(cfg.model))
    assert heads and all(head['num_classes'] == 2 for head in heads.values())
    for dataset in datasets(cfg):
        assert dataset.metainfo == dict(classes=('raccoon', 'red panda'), palette=palette(2))


@needs_downstream
@pytest.mark.parametrize('stem', ['fpn_r18_camvid', 'fcn_r50-d8_20k_voc12aug', 'upernet_r50_160k_ade20k'])
def test_a_segmentation_config_is_for_the_classes_and_plain_masks(stem: str) -> None:
    cfg = load_config(SEGMENTATION / f'{stem}.py', {'classes': 'road,other'})
    assert all(head['num_classes'] == 2 for _, head in heads_with_classes(cfg.model))
    for dataset in datasets(cfg):
        assert dataset.metainfo.classes == ('road', 'other') and dataset.type == 'BaseSegDataset'
        assert not any('IgnoreLabels' in step.type or step.get('reduce_zero_label') for step in dataset.pipeline)


@needs_downstream
def test_labels_that_are_left_out_are_named_beside_the_classes() -> None:
    path = SEGMENTATION / 'fpn_r18_camvid.py'
    own = load_config(path).train_dataloader.dataset.metainfo.classes
    assert load_config(path, {'classes': own}).train_dataloader.dataset.pipeline[2].labels == [11]  # its own classes
    cfg = load_config(path, {'classes': 'road,other', 'ignore_labels': [2, 7]})
    for dataset in (cfg.train_dataloader.dataset, cfg.val_dataloader.dataset):
        assert [step.labels for step in dataset.pipeline if step.type == 'mmssl.IgnoreLabels'] == [[2, 7]]
    with pytest.raises(UserError, match='ignore_labels takes labels of the masks'):
        load_config(path, {'ignore_labels': ['void']})
    with pytest.raises(UserError, match='option of segmentation configs'):
        load_config(DETECTION / 'faster-rcnn_r18-fpn_bccd.py', {'ignore_labels': 3})


@needs_downstream
def test_a_subset_of_a_published_data_set_keeps_its_masks() -> None:
    cfg = load_config(SEGMENTATION / 'upernet_r50_160k_ade20k.py', {'classes': 'wall,sky'})
    assert cfg.train_dataloader.dataset.type == 'ADE20KDataset' and cfg.model.decode_head.num_classes == 2
    assert cfg.train_dataloader.dataset.pipeline[1].reduce_zero_label


def test_colours_differ() -> None:
    colors = palette(80)
    assert len(set(colors)) == 80 and all(0 <= value <= 255 for color in colors for value in color)

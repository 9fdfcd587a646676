"""Annotated data before a run: what is missing, dropped or beyond the classes, with names and counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mmssl.datasets.checks import masks, voc
from mmssl.datasets.checks.coco import check_coco
from mmssl.datasets.checks.findings import Findings
from mmssl.datasets.checks.masks import check_masks
from mmssl.datasets.checks.voc import check_voc

CELLS = ('WBC', 'RBC', 'Platelets')


def only(problems: list[str]) -> str:
    """The one sentence there is."""
    (text,) = problems
    return text


def xml(*boxes: tuple[str, tuple[int, int, int, int]]) -> str:
    objects = ''.join(
        f'<object><name>{name}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox>'
        '</object>'
        for name, (a, b, c, d) in boxes
    )
    return f'<annotation><size><width>64</width><height>48</height></size>{objects}</annotation>'


class TestVoc:
    """Pascal VOC's layout: eight images of one raccoon each."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for folder in ('JPEGImages', 'Annotations', 'ImageSets/Main'):
            (tmp_path / folder).mkdir(parents=True)
        for index in range(8):
            (tmp_path / 'JPEGImages' / f'{index}.jpg').touch()  # names alone are looked at
            (tmp_path / 'Annotations' / f'{index}.xml').write_text(xml(('raccoon', (1, 1, 20, 30))))
        (tmp_path / 'ImageSets' / 'Main' / 'train.txt').write_text('\n'.join(map(str, range(8))))
        return tmp_path

    def check(self, root: Path, classes: tuple = ('raccoon',), training: bool = True, **more: Any) -> Findings:
        config = dict(
            data_root=str(root), ann_file='ImageSets/Main/train.txt', data_prefix=dict(sub_data_root=''), **more
        )
        return check_voc(config, classes, training)

    def test_right_data(self, root: Path) -> None:
        assert self.check(root) == Findings()

    def test_other_names(self, root: Path) -> None:
        text = only(self.check(root, CELLS).problems)
        assert text.startswith('none of 8 images has a box of (WBC, RBC, Platelets); the annotations name: raccoon (8)')
        assert 'classes="(\'raccoon\',)"' in text
        page = (Path(__file__).parents[3] / 'docs' / 'howto' / 'own_classes.md').read_text()
        assert f'train_dataloader: {text}' in ' '.join(page.split())

    def test_a_misspelt_class_loses_its_boxes(self, root: Path) -> None:
        (root / 'Annotations' / '0.xml').write_text(xml(('panda', (1, 1, 9, 9)), ('raccoon', (1, 1, 9, 9))))
        text = only(self.check(root, ('raccoon', 'Panda')).problems)
        assert text.startswith('no box has the class Panda, while 1 of 9 boxes are dropped') and 'panda (1)' in text
        assert not self.check(root, ('raccoon', 'Panda'), training=False).problems

    def test_a_subset_is_trained_on_with_a_note(self, root: Path) -> None:
        (root / 'Annotations' / '0.xml').write_text(xml(('panda', (1, 1, 9, 9))))
        found = self.check(root)
        assert not found.problems and found.notes == [
            '1 of 8 boxes are dropped, as the config lacks their classes: panda (1)',
            '1 of 8 images have no box of the classes',
        ]

    def test_missing_files(self, root: Path) -> None:
        (root / 'Annotations' / '3.xml').unlink()
        (root / 'JPEGImages' / '5.jpg').rename(root / 'JPEGImages' / '5.png')
        annotations, images = self.check(root).problems
        assert annotations.startswith('1 of 8 names') and 'Annotations/3.xml' in annotations
        assert images.startswith('1 of 8 images are missing') and '1 *.png' in images and '5.jpg' in images
        (root / 'ImageSets' / 'Main' / 'train.txt').write_text('')
        assert 'is empty' in only(self.check(root).problems)
        (root / 'ImageSets' / 'Main' / 'train.txt').unlink()
        assert 'train.txt does not exist' in only(self.check(root).problems)

    def test_broken_files(self, root: Path) -> None:
        (root / 'Annotations' / '1.xml').write_text(xml(('raccoon', (1, 1, 9, 9)))[:60])
        (root / 'Annotations' / '2.xml').write_text('<annotation><object><name>raccoon</name></object></annotation>')
        text = only(self.check(root).problems)
        assert text.startswith('2 annotations cannot be read') and '1.xml' in text and 'raccoon without bndbox' in text

    def test_a_box_without_area(self, root: Path) -> None:
        (root / 'Annotations' / '1.xml').write_text(xml(('raccoon', (5, 5, 5, 9)), ('raccoon', (1, 1, 9, 9))))
        assert 'makes the loss NaN' in only(self.check(root).problems)
        found = self.check(root, filter_cfg=dict(bbox_min_size=1))
        assert not found.problems and '1.xml raccoon (5, 5, 5, 9)' in only(found.notes)

    def test_many_files_are_sampled(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(voc, '_LIMIT', 4)
        assert self.check(root).notes == ['boxes were checked in 4 of 8 annotations']


class TestCoco:
    """COCO's layout: four images with a cat and a dog each."""

    @pytest.fixture
    def content(self) -> dict[str, list]:
        shape = dict(bbox=[1, 1, 20, 20], area=400, iscrowd=0, segmentation=[[1]])
        boxes = [dict(shape, id=10 * i + k, image_id=i, category_id=5 + k) for i in range(4) for k in range(2)]
        images = [dict(id=i, file_name=f'sub/{i}.jpg', width=64, height=48) for i in range(4)]
        return dict(images=images, annotations=boxes, categories=[dict(id=5, name='cat'), dict(id=6, name='dog')])

    @pytest.fixture
    def check(self, content: dict[str, list], tmp_path: Path) -> Callable[..., Findings]:
        (tmp_path / 'train' / 'sub').mkdir(parents=True)
        for image in content['images']:
            (tmp_path / 'train' / image['file_name']).touch()

        def check(classes: tuple[str, ...] = ('cat', 'dog'), is_training: bool = True, text: str = '', **more: Any):
            (tmp_path / 'train.json').write_text(text or json.dumps(content))
            config = dict(data_root=str(tmp_path), ann_file='train.json', data_prefix=dict(img='train/'), **more)
            return check_coco(config, classes, is_training)

        return check

    def test_right_data(self, check: Callable) -> None:
        assert check() == Findings() == check(pipeline=[dict(type='LoadAnnotations', with_mask=True)])

    def test_other_names(self, check: Callable) -> None:
        assert 'none of 4 images has a box of (raccoon)' in only(check(('raccoon',)).problems)
        assert check(('dog',)).notes == ['4 of 8 boxes are dropped, as the config lacks their classes: cat (4)']

    def test_the_order_of_the_file_counts(self, check: Callable) -> None:
        assert "set classes=\"('cat', 'dog')\"" in only(check(('dog', 'cat')).problems)

    def test_a_class_that_the_categories_lack_would_shift_the_labels(self, check: Callable) -> None:
        assert 'do not name bird' in only(check(('cat', 'bird', 'dog'), is_training=False).problems)

    def test_missing_images(self, check: Callable, tmp_path: Path) -> None:
        (tmp_path / 'train' / 'sub' / '2.jpg').rename(tmp_path / 'train' / 'sub' / '2.png')
        text = only(check().problems)
        assert text.startswith('1 of 4 images are missing') and 'sub/2.jpg, but 1 *.png' in text

    def test_broken_files(self, check: Callable, content: dict) -> None:
        assert 'is not JSON' in only(check(text='{"images": [').problems)
        assert 'it has no list of annotations, categories' in only(check(text='{"images": []}').problems)
        assert 'holds no dict' in only(check(text='5').problems)
        assert 'it has no list of images' in only(
            check(text='{"images": null, "annotations": [], "categories": []}').problems
        )
        del content['annotations'][0]['area'], content['images'][1]['width']
        content['annotations'][1]['id'] = content['annotations'][2]['id']
        content['annotations'][3]['bbox'] = [1, 2, 3]
        problems = check().problems
        assert problems[0] == 'images without width (1), which mmdet needs'
        assert problems[1] == 'annotations without area (1), which mmdet needs'
        assert problems[2] == '1 annotations share their id with another one'
        assert problems[3].startswith('1 boxes are not four numbers')

    def test_what_is_no_number(self, check: Callable, content: dict) -> None:
        content['annotations'][0]['area'] = content['images'][1]['height'] = None
        assert check().problems == ['images whose height is no number: 1', 'annotations whose area is no number: 1']

    def test_two_categories_of_one_name(self, check: Callable, content: dict) -> None:
        content['categories'].append(dict(id=7, name='cat'))
        assert only(check().problems).startswith('several categories of the file have the name cat')

    def test_boxes_that_are_dropped(self, check: Callable, content: dict) -> None:
        content['annotations'][0]['bbox'] = [70, 1, 5, 5]  # outside of the image
        content['annotations'][1]['image_id'] = 99
        found = check()
        assert not found.problems
        assert found.notes[0] == '1 boxes belong to no image of the file'
        assert '1 boxes have no area in their image' in found.notes[-1] and 'annotation 0 cat' in found.notes[-1]
        content['annotations'][2]['category_id'] = 7
        assert '1 boxes have a category_id that categories does not list' in only(check().problems)

    def test_images_for_a_server_have_no_annotations(self, check: Callable, content: dict) -> None:
        del content['annotations']
        found = check(is_training=False)
        assert not found.problems and 'has images and no annotations' in only(found.notes)
        assert 'it has no list of annotations' in only(check().problems)

    def test_masks_without_polygons(self, check: Callable, content: dict) -> None:
        del content['annotations'][0]['segmentation']
        assert not check().problems
        text = only(check(pipeline=[dict(type='LoadAnnotations', with_mask=True)]).problems)
        assert text.startswith('1 boxes have no polygon')


class TestMasks:
    """Images and masks of the labels 0 to 2 in two folders."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        for index in range(6):
            self.write(tmp_path, index, np.arange(48 * 64).reshape(48, 64) % 3)
        return tmp_path

    def write(self, root: Path, index: int, mask: np.ndarray, **exif: Any) -> None:
        for folder in ('img', 'ann'):
            (root / folder).mkdir(exist_ok=True)
        Image.fromarray(mask.astype(np.uint8)).save(root / 'ann' / f'{index}.png')
        Image.new('RGB', (64, 48)).save(root / 'img' / f'{index}.jpg', **exif)

    def check(self, root: Path, num: int = 3, ignored: tuple[int, ...] = (255,), **more: Any) -> Findings:
        prefix = dict(img_path='img', seg_map_path='ann')
        config = dict(data_root=str(root), data_prefix=prefix, img_suffix='.jpg', seg_map_suffix='.png') | more
        return check_masks(config, num, ignored)

    def test_right_data(self, root: Path) -> None:
        assert self.check(root) == Findings()

    def test_another_ending(self, root: Path) -> None:
        text = only(self.check(root, img_suffix='.png').problems)
        assert text == f'no *.png in {root}/img, but 6 *.jpg: set img_suffix to the ending of the images'
        text = only(self.check(root, seg_map_suffix='_mask.png').problems)
        assert text.startswith('6 of 6 masks are missing') and '6 *.png: set seg_map_suffix' in text
        assert 'folder' in only(self.check(root, data_prefix=dict(img_path='none', seg_map_path='ann')).problems)

    def test_a_folder_of_masks_that_is_not_named(self, root: Path) -> None:
        prefix = dict(img_path='img')
        assert self.check(root, data_prefix=prefix) == Findings()  # a pipeline that reads none
        text = only(self.check(root, data_prefix=prefix, pipeline=[dict(type='LoadAnnotations')]).problems)
        assert text == 'data_prefix.seg_map_path is missing, the folder of the masks'

    def test_images_are_found_as_mmseg_finds_them(self, root: Path) -> None:
        """mmseg leaves hidden files out and follows links."""
        (root / 'img' / '._0.jpg').write_bytes(b'written by a Mac')
        assert self.check(root) == Findings()
        (root / 'more').mkdir()
        (root / 'img' / '0.jpg').rename(root / 'more' / '9.jpg')
        (root / 'img' / 'linked').symlink_to(root / 'more')
        assert only(self.check(root).problems) == f'1 of 6 masks are missing: {root}/ann/linked/9.png'

    def test_missing_masks_are_named(self, root: Path) -> None:
        (root / 'ann' / '4.png').unlink()
        text = only(self.check(root).problems)
        assert text == f'1 of 6 masks are missing: {root}/ann/4.png'
        (root / 'train.txt').write_text('0\n1\n')
        assert self.check(root, ann_file='train.txt') == Findings()

    def test_labels_beyond_the_classes(self, root: Path) -> None:
        text = only(self.check(root, num=2).problems)
        assert '6 of 6 masks that were opened hold labels beyond the 2 classes 0 to 1: 2 (in 6)' in text
        assert 'ignore_labels' in text and self.check(root, 2, (255, 2)) == Findings()

    def test_a_binary_mask_of_0_and_255(self, root: Path) -> None:
        for index in range(6):
            self.write(root, index, 255 * (np.arange(48 * 64).reshape(48, 64) % 2))
        assert 'hold only 0 and 255, and 255 is ignored' in only(self.check(root, num=2).problems)

    def test_another_size_and_colour_and_damage(self, root: Path) -> None:
        self.write(root, 1, np.zeros((64, 48)))
        self.write(root, 2, np.zeros((48, 64, 3)))
        (root / 'ann' / '3.png').write_bytes(b'no image')
        unreadable, colored, sizes = self.check(root).problems
        assert '1 of 6 masks that were opened or their images cannot be read' in unreadable and '3.png' in unreadable
        assert '1 of 6 masks that were opened are in colour' in colored and '2.png' in colored
        assert '1.png is 48 x 64, its image 64 x 48' in sizes

    def test_an_image_that_its_camera_turned(self, root: Path) -> None:
        exif = Image.Exif()
        exif[274] = 6  # read upright, it is 48 x 64
        self.write(root, 0, np.zeros((64, 48)), exif=exif)
        assert self.check(root) == Findings()

    def test_many_masks_are_sampled(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(masks, '_SAMPLE', 3)
        assert self.check(root).notes == ['sizes and labels were checked in 3 of 6 masks']

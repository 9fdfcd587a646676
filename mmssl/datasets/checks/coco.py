"""Checks boxes and polygons in COCO's layout: one JSON file per dataset."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from mmssl.datasets.checks.findings import Boxes, Findings, group_by_folder, missing_files, other_endings, some

_IMAGE_KEYS = ('id', 'file_name', 'width', 'height')
_BOX_KEYS = ('id', 'image_id', 'category_id', 'bbox', 'area')


def check_coco(dataset: dict[str, Any], classes: tuple[str, ...], is_training: bool) -> Findings:
    """Checks the annotation file and the images that a ``CocoDataset`` of mmdet would read.

    Args:
        dataset: Config of the dataset, with ``data_root``, ``ann_file``, ``data_prefix`` and ``pipeline``.
        classes: Names of the classes to detect.
        is_training: True for training data, where a class without a box can be a problem.
    """
    found = Findings()
    root = dataset.get('data_root') or ''
    path = os.path.join(root, dataset.get('ann_file') or '')
    if not os.path.isfile(path):
        found.problems.append(f'the annotations {path} do not exist (ann_file)')
        return found
    try:
        with open(path, encoding='utf-8') as file:
            content = json.load(file)
    except ValueError as error:
        found.problems.append(f'{path} is not JSON: {error}')
        return found
    if not isinstance(content, dict):
        found.problems.append(f'{path} is not in the layout of COCO: it holds no dict of images and annotations')
        return found
    if not is_training:
        content.setdefault('annotations', [])  # test images whose annotations only an evaluation server has
    absent = [key for key in ('images', 'annotations', 'categories') if not isinstance(content.get(key), list)]
    if absent:
        found.problems.append(f'{path} is not in the layout of COCO: it has no list of {", ".join(absent)}')
        return found
    found.problems += _broken(content, _BOX_KEYS if is_training else (*_BOX_KEYS, 'iscrowd'))
    if found.problems:
        return found
    folder = os.path.join(root, (dataset.get('data_prefix') or {}).get('img', ''))
    files = [os.path.join(folder, image['file_name']) for image in content['images']]
    if missing := missing_files(files):
        where = max(group_by_folder(missing).items(), key=lambda item: item[1])[0]
        ending = os.path.splitext(missing[0])[1]
        found.problems.append(
            f'{len(missing):,} of {len(files):,} images are missing: {some(missing)}'
            f'{other_endings(where, ending) if os.path.isdir(where) else ""}'
        )
    if not content['annotations'] and not is_training:
        found.notes.append(f'{path} has images and no annotations')
        return found
    needs_polygons = any(step.get('with_mask') for step in dataset.get('pipeline') or ())
    _check_boxes(content, classes, is_training, needs_polygons, found)
    return found


def _broken(content: Mapping[str, Any], box_keys: tuple[str, ...]) -> list[str]:
    problems = []
    for part, keys in (('images', _IMAGE_KEYS), ('annotations', box_keys), ('categories', ('id', 'name'))):
        lacking = {key: sum(key not in item for item in content[part]) for key in keys}
        if any(lacking.values()):
            shown = ', '.join(f'{key} ({number:,})' for key, number in lacking.items() if number)
            problems.append(f'{part} without {shown}, which mmdet needs')
        ids = [item.get('id') for item in content[part]]
        if len(set(ids)) < len(ids):
            problems.append(f'{len(ids) - len(set(ids)):,} {part} share their id with another one')
    for part, keys in (('images', ('width', 'height')), ('annotations', ('area',))):
        for key in keys:
            if number := sum(key in item and not isinstance(item[key], (int, float)) for item in content[part]):
                problems.append(f'{part} whose {key} is no number: {number:,}')
    odd = [box for box in content['annotations'] if 'bbox' in box and not _is_box(box['bbox'])]
    if odd:
        problems.append(f'{len(odd):,} boxes are not four numbers (left, top, width, height), such as {odd[0]["bbox"]}')
    return problems


def _is_box(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 4 and all(isinstance(number, (int, float)) for number in value)


def _check_boxes(
    content: Mapping[str, Any], classes: tuple[str, ...], is_training: bool, needs_polygons: bool, found: Findings
) -> None:
    names = {category['id']: category['name'] for category in content['categories']}
    sizes = {image['id']: (image['width'], image['height']) for image in content['images']}
    boxes, by_image, unknown, homeless, bare = Boxes(classes), defaultdict(list), 0, 0, 0
    for box in content['annotations']:
        if box['category_id'] not in names:
            unknown += 1
            continue
        if box['image_id'] not in sizes:
            homeless += 1
            continue
        name = names[box['category_id']]
        if _is_flat(box, *sizes[box['image_id']]):
            boxes.flat.append(f'annotation {box["id"]} {name} {tuple(box["bbox"])}')
            continue
        bare += name in classes and not box.get('segmentation')
        by_image[box['image_id']].append(name)
    for image in sizes:
        boxes.count(by_image[image])
    if unknown:
        found.problems.append(f'{unknown:,} boxes have a category_id that categories does not list')
    if homeless:
        found.notes.append(f'{homeless:,} boxes belong to no image of the file')
    if bare and needs_polygons:
        found.problems.append(f'{bare:,} boxes have no polygon (segmentation), and this pipeline reads masks')
    more = boxes.findings(is_training)
    found.notes += more.notes
    found.problems += more.problems
    # mmdet numbers the classes in the order of the file, not of the config.
    in_file = [name for name in names.values() if name in classes]
    if not more.problems and in_file != list(classes):
        lacking = [name for name in classes if name not in in_file]
        if repeated := [name for name in classes if in_file.count(name) > 1]:
            found.problems.append(
                f'several categories of the file have the name {some(repeated, 8)}, and mmdet would give each its own '
                'label: give the boxes of a class one category_id'
            )
        elif lacking:
            found.problems.append(f'the categories of the file do not name {some(lacking, 8)}, so labels would shift')
        else:
            found.problems.append(
                'mmdet numbers classes in the order of the categories in the file, which differs from the order of the '
                f'config: set classes="{tuple(in_file)}"'
            )


def _is_flat(box: Mapping[str, Any], image_width: float, image_height: float) -> bool:
    """Returns True if mmdet would skip the box, because it has no area or lies outside of the image."""
    left, top, width, height = box['bbox']
    inner_width = min(left + width, image_width) - max(left, 0)
    inner_height = min(top + height, image_height) - max(top, 0)
    return inner_width <= 0 or inner_height <= 0 or box['area'] <= 0 or width < 1 or height < 1

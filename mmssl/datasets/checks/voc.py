"""Checks boxes in Pascal VOC's layout: one XML file per image."""

from __future__ import annotations

import os
from typing import Any
from xml.etree import ElementTree

from mmssl.datasets.checks.findings import Boxes, Findings, missing_files, other_endings, some

_LIMIT = 20_000  # largest number of annotation files that are read


def check_voc(dataset: dict[str, Any], classes: tuple[str, ...], is_training: bool) -> Findings:
    """Checks the files that a ``VOCDataset`` or ``XMLDataset`` of mmdet would read.

    Args:
        dataset: Config of the dataset, with ``data_root``, ``ann_file``, ``data_prefix``, ``ann_subdir`` and
            ``img_subdir``.
        classes: Names of the classes to detect.
        is_training: True for training data, where a class without a box can be a problem.
    """
    found = Findings()
    root = dataset.get('data_root') or ''
    listing = os.path.join(root, dataset.get('ann_file') or '')
    prefix = (dataset.get('data_prefix') or {}).get('sub_data_root')
    base = '' if prefix is None else os.path.join(root, prefix)  # without sub_data_root mmdet ignores data_root here
    if not os.path.isfile(listing):
        found.problems.append(f'the list of images {listing} does not exist (ann_file)')
        return found
    with open(listing, encoding='utf-8') as file:
        names = [line.rstrip('\n\r') for line in file]
    if not names:
        found.problems.append(f'the list of images {listing} is empty')
        return found
    annotations = os.path.join(base, dataset.get('ann_subdir', 'Annotations'))
    images = os.path.join(base, dataset.get('img_subdir', 'JPEGImages'))
    files = [os.path.join(annotations, f'{name}.xml') for name in names]
    if missing := missing_files(files):
        found.problems.append(
            f'{len(missing):,} of {len(names):,} names in {listing} have no annotation: {some(missing)}; '
            'a line of the list must be a file name without its suffix'
        )
    if absent := missing_files(os.path.join(images, f'{name}.jpg') for name in names):
        found.problems.append(f'{len(absent):,} of {len(names):,} images are missing: {some(absent)}{_endings(images)}')
    if found.problems:
        return found
    step = -(-len(files) // _LIMIT)
    if step > 1:
        found.notes.append(f'boxes were checked in {len(files[::step]):,} of {len(files):,} annotations')
    boxes, broken = Boxes(classes), []
    for path in files[::step]:
        try:
            boxes.count(_names(path, boxes.flat))
        except (ElementTree.ParseError, ValueError) as error:
            broken.append(f'{path} ({error})')
    if broken:
        found.problems.append(f'{len(broken):,} annotations cannot be read: {some(broken)}')
        return found
    more = boxes.findings(is_training, is_sampled=step > 1)
    if boxes.flat and is_training and not (dataset.get('filter_cfg') or {}).get('bbox_min_size'):
        more.problems.append(
            f'{len(boxes.flat):,} boxes have no area, which makes the loss NaN: {some(boxes.flat)}; correct them or '
            'set filter_cfg.bbox_min_size=1 of this dataset'
        )
    found.problems += more.problems
    found.notes += more.notes
    return found


def _endings(folder: str) -> str:
    others = other_endings(folder, '.jpg')
    return f' (there is no such *.jpg{others}; mmdet reads *.jpg in this layout)' if others else ''


def _names(path: str, flat: list[str]) -> list[str]:
    """Returns the class names of the boxes in a file; adds descriptions of boxes without an area to ``flat``."""
    names = []
    root = ElementTree.parse(path).getroot()
    if (size := root.find('size')) is not None:
        int(size.findtext('width') or ''), int(size.findtext('height') or '')
    for box in root.findall('object'):
        name = box.findtext('name')
        if not name:
            raise ValueError('a box without a name')
        corners = box.find('bndbox')
        if corners is None:
            raise ValueError(f'a box of {name} without bndbox')
        left, top, right, bottom = (
            int(float(corners.findtext(corner) or '')) for corner in ('xmin', 'ymin', 'xmax', 'ymax')
        )
        if right <= left or bottom <= top:
            flat.append(f'{os.path.basename(path)} {name} ({left}, {top}, {right}, {bottom})')
        names.append(name)
    return names

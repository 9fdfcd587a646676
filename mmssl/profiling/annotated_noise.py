"""Noise with boxes, polygons or masks, to measure a detector or segmenter whose dataset is missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_WIDTH, _HEIGHT = 640, 480
_BOXES = [(40 + 150 * column, 30 + 220 * row, 100, 160) for column in range(4) for row in range(2)]


def write_noise(folder: Path, number: int, num_classes: int, library: str) -> dict[str, Any]:
    """Writes a dataset of ``number`` images, which are all the same image of noise, with eight boxes or a mask.

    Args:
        folder: Folder to write to; existing images are used.
        number: Number of images of the dataset.
        num_classes: Number of classes of the heads.
        library: Library of the config: ``'mmdet'`` or ``'mmseg'``.

    Returns:
        The config of the dataset, without a pipeline.
    """
    classes = tuple(f'class {label}' for label in range(num_classes))
    (folder / 'images').mkdir(parents=True, exist_ok=True)
    if not (folder / 'images' / '0.png').exists():
        pixels = np.random.default_rng(0).integers(0, 256, (_HEIGHT, _WIDTH, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / 'images' / '0.png')
    if library == 'mmseg':
        return _masks(folder, number, num_classes) | dict(metainfo=dict(classes=classes))
    images = [dict(id=index, file_name='0.png', width=_WIDTH, height=_HEIGHT) for index in range(number)]
    boxes = [
        dict(
            id=len(_BOXES) * index + place,
            image_id=index,
            category_id=place % num_classes,
            bbox=[left, top, width, height],
            area=width * height,
            iscrowd=0,
            segmentation=[[left, top, left + width, top, left + width, top + height, left, top + height]],
        )
        for index in range(number)
        for place, (left, top, width, height) in enumerate(_BOXES)
    ]
    categories = [dict(id=label, name=name) for label, name in enumerate(classes)]
    (folder / 'noise.json').write_text(json.dumps(dict(images=images, annotations=boxes, categories=categories)))
    return dict(
        type='CocoDataset',
        data_root=str(folder),
        ann_file='noise.json',
        data_prefix=dict(img='images/'),
        metainfo=dict(classes=classes),
    )


def _masks(folder: Path, number: int, num_classes: int) -> dict[str, Any]:
    (folder / 'masks').mkdir(exist_ok=True)
    if not (folder / 'masks' / '0.png').exists():
        labels = np.arange(_HEIGHT * _WIDTH // 256).reshape(_HEIGHT // 16, _WIDTH // 16) % num_classes
        Image.fromarray(labels.astype(np.uint8).repeat(16, 0).repeat(16, 1)).save(folder / 'masks' / '0.png')
    (folder / 'noise.txt').write_text('0\n' * number)
    return dict(
        type='BaseSegDataset',
        data_root=str(folder),
        ann_file='noise.txt',
        data_prefix=dict(img_path='images', seg_map_path='masks'),
        img_suffix='.png',
    )

"""Writes tiny datasets in the layouts of COCO, Pascal VOC and CamVid, and shrinks benchmark configs for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

SIZE = 64
LIMITS = dict(nms_pre=100, max_per_img=50, num=32)  # boxes before and after suppression, boxes of a sample
FREE_WIDTHS = ('fc_out_channels', 'feat_channels')  # of layers between those that have to fit
_IMAGES = 4
_BOXES = [(4, 6, 40, 44), (20, 10, 60, 30)]  # x1, y1, x2, y2


def write_coco(root: Path) -> Path:
    """Writes a dataset in COCO's layout: images with boxes and polygons of two of the 80 classes."""
    from mmdet.datasets.coco import CocoDataset

    names = CocoDataset.METAINFO['classes']
    categories = [dict(id=index + 1, name=name) for index, name in enumerate(names)]
    for split in ('train2017', 'val2017'):
        files = _write_images(root / split)
        images = [dict(id=i, file_name=file.name, width=SIZE, height=SIZE) for i, file in enumerate(files)]
        annotations = [
            dict(
                id=len(_BOXES) * i + j,
                image_id=i,
                category_id=j + 1,
                bbox=[x1, y1, x2 - x1, y2 - y1],
                area=(x2 - x1) * (y2 - y1),
                iscrowd=0,
                segmentation=[[x1, y1, x2, y1, x2, y2, x1, y2]],
            )
            for i in range(len(files))
            for j, (x1, y1, x2, y2) in enumerate(_BOXES)
        ]
        path = root / 'annotations' / f'instances_{split}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return root


def write_voc(root: Path, classes: tuple[str, ...]) -> Path:
    """Writes a dataset in Pascal VOC's layout, with boxes of the first two ``classes``."""
    files = _write_images(root / 'JPEGImages')
    (root / 'Annotations').mkdir()
    for file in files:
        objects = ''.join(
            f'<object><name>{name}</name><difficult>0</difficult><bndbox><xmin>{x1}</xmin><ymin>{y1}</ymin>'
            f'<xmax>{x2}</xmax><ymax>{y2}</ymax></bndbox></object>'
            for name, (x1, y1, x2, y2) in zip(classes, _BOXES)
        )
        size = f'<size><width>{SIZE}</width><height>{SIZE}</height><depth>3</depth></size>'
        (root / 'Annotations' / f'{file.stem}.xml').write_text(f'<annotation>{size}{objects}</annotation>')
    lists = root / 'ImageSets' / 'Main'
    lists.mkdir(parents=True)
    for split in ('train', 'val', 'test', 'trainval'):
        (lists / f'{split}.txt').write_text('\n'.join(file.stem for file in files))
    return root


def write_camvid(root: Path) -> Path:
    """Writes a dataset in CamVid's layout: masks with the classes 0 to 10 and 11 (void)."""
    for split in ('train', 'val'):
        folder = root / 'ann' / split
        folder.mkdir(parents=True)
        for index, file in enumerate(_write_images(root / 'img' / split)):
            mask = np.random.default_rng(index).integers(0, 12, (SIZE // 8, SIZE // 8), dtype=np.uint8)
            Image.fromarray(mask.repeat(8, 0).repeat(8, 1)).save(folder / f'{file.stem}.png')
    return root


def _write_images(folder: Path) -> list[Path]:
    folder.mkdir(parents=True)
    files = [folder / f'image{index}.jpg' for index in range(_IMAGES)]
    for index, file in enumerate(files):
        pixels = np.random.default_rng(index).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file)
    return files


def shrink_options(cfg: Config) -> dict[str, Any]:
    """Returns values for ``--cfg-options`` with which a benchmark config trains two iterations in a second.

    A ResNet and the heads behind it get an eighth of their channels; behind other backbones, hidden layers of the heads
    do. Images and crops get 64 pixels, and few boxes are proposed, sampled and kept.

    Args:
        cfg: Benchmark config from ``load_config``.
    """
    options: dict[str, Any] = {'max_epochs': 1, 'param_scheduler.warmup_epochs': 0, 'train_cfg.val_interval': 1}
    options['default_hooks.checkpoint.interval'] = 1
    options['train_dataloader.batch_size'] = 2
    for name in ('train', 'val', 'test'):
        options[f'{name}_dataloader.num_workers'] = 0
    is_resnet = cfg.model.backbone.type == 'mmssl.ResNet'
    if is_resnet:
        options['model.backbone.width'] = cfg.model.backbone.get('width', 1) / 8
        if 'shared_head' in cfg.model.get('roi_head', {}):
            options['model.roi_head.shared_head.width'] = options['model.backbone.width']
    for place, value in _leaves(cfg):
        key = place.rpartition('.')[2]
        if key in ('scale', 'crop_size') and '_dataloader' in place or place == 'model.data_preprocessor.size':
            options[place] = (SIZE, SIZE)
        elif key == 'score_thr':
            options[place] = 0.0  # keeps all boxes, because no AP is reported without detections
        elif key == 'iou_thrs':
            options[place] = [0.5]
        elif key in LIMITS and place.startswith('model.'):
            options[place] = min(value, LIMITS[key])
        elif place.startswith('model.') and (is_resnet and key.endswith('channels') or key in FREE_WIDTHS):
            options[place] = [item // 8 for item in value] if isinstance(value, list) else value // 8
    return options


def _leaves(node: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Yields (dotted key, value) of all values below ``node`` that are neither dicts nor lists with dicts."""
    for key, value in node.items() if hasattr(node, 'items') else enumerate(node):
        inner = f'{place}.{key}' if place else str(key)
        if isinstance(value, dict) or (isinstance(value, (list, tuple)) and any(isinstance(x, dict) for x in value)):
            yield from _leaves(value, inner)
        else:
            yield inner, value

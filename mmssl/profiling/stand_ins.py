"""Replacements of missing data and weights in a dry run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from PIL import Image

from mmssl.config.classes import datasets, heads_with_classes
from mmssl.config.paths import missing_target_weights
from mmssl.datasets.checks import check_annotations
from mmssl.distributed.collectives import world_size
from mmssl.profiling.annotated_noise import write_noise
from mmssl.registry import DATASETS
from mmssl.utils.errors import user_message

# Number of training images by the dataset in a recipe's name, used if the data is missing.
_PUBLISHED_SIZES = {
    'in1k': 1_281_167, 'in1k-1p': 12_811, 'in1k-10p': 128_116, 'cifar10': 50_000, 'coco': 118_287, 'voc0712': 16_551,
    'voc12aug': 10_582, 'ade20k': 20_210, 'ade20k-512x512': 20_210, 'ade20k-640x640': 20_210,
}  # fmt: skip
_SYNTHETIC_SIDE = 256


def replace_missing_data(cfg: Config, folder: Path) -> tuple[list[str], list[str], int | None]:
    """Builds every dataset once, and replaces the config of a dataset that cannot be built by synthetic images.

    Returns:
        Problems, notes, and the number of training images; None if it is not known.
    """
    if cfg.get('default_scope') in ('mmdet', 'mmseg'):
        return _replace_missing_annotations(cfg, folder)
    places: dict[str, list[str]] = defaultdict(list)
    num_images = None
    for place, loader in _dataloaders(cfg):
        dataset = loader['dataset']
        try:
            length: int | None = len(DATASETS.build(dataset))
        except (FileNotFoundError, ValueError) as error:
            view_cfg = {key: dataset[key] for key in ('views', 'transform') if key in dataset}
            if user_message(error) is None or not view_cfg:  # without views the stand-in would fail in their place
                raise
            length = published_size(cfg)
            places[str(error)].append(place)
            list_file = _write_synthetic(folder, 4 * loader['batch_size'] * world_size())
            # Labels without class names, which nothing compares with those of the data that is here.
            stand_in = dict(type='ImageList', list_file=str(list_file), data_root=str(folder))
            if dataset['type'] == 'SalientImages':  # its views need masks, which it estimates for the stand-in
                loader['dataset'] = dict(type='SalientImages', dataset=stand_in, **view_cfg)
            else:
                loader['dataset'] = dict(stand_in, **view_cfg)
        if place == 'train_dataloader':
            num_images = length
    return [f'{", ".join(found)}: {message}' for message, found in places.items()], [], num_images


def _replace_missing_annotations(cfg: Config, folder: Path) -> tuple[list[str], list[str], int | None]:
    """Checks the data of a detector or segmenter; if it has problems, trains on noise and skips validation."""
    found = check_annotations(cfg)
    if not found.problems:
        return [], found.notes, len(DATASETS.build(cfg.train_dataloader.dataset))
    number = 4 * cfg.train_dataloader.batch_size * world_size()
    num_classes = max(head['num_classes'] for _, head in heads_with_classes(cfg.model))
    noise = write_noise(folder, number, num_classes, cfg.default_scope)
    for dataset in datasets(cfg, ['train']):
        pipeline = dataset.get('pipeline', [])
        shifts = any(step.get('reduce_zero_label') for step in pipeline)
        dataset.clear()
        dataset.update(noise, pipeline=pipeline, **(dict(reduce_zero_label=True) if shifts else {}))
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('save_best', None)
    return found.problems, found.notes, published_size(cfg)


def published_size(cfg: Config) -> int | None:
    """Returns the number of training images of the dataset in the name of the recipe; None for another dataset."""
    parts = Path(cfg.filename or '').stem.split('_')
    return next((_PUBLISHED_SIZES[part] for part in parts if part in _PUBLISHED_SIZES), None)


def replace_missing_weights(cfg: Config) -> list[str]:
    """Reports missing files of weights of a target, and makes the config use random weights instead."""
    problems = []
    for place, path in missing_target_weights(cfg).items():
        problems.append(f'{place}: {path!r} does not exist; measured with random weights')
        cfg.merge_from_dict({place: None})
    return problems


def _dataloaders(node: Any, place: str = '') -> Iterator[tuple[str, dict]]:
    """Yields every dataloader that training uses, with its dotted key."""
    for key, value in node.items():
        inner = f'{place}.{key}' if place else key
        if not isinstance(value, dict) or key.startswith(('_', 'test_')):
            continue
        if key.endswith('dataloader'):
            yield inner, value
        else:
            yield from _dataloaders(value, inner)


def _write_synthetic(folder: Path, number: int) -> Path:
    """Writes one random image under ``number`` names, as hard links to save space, and returns a list of them."""
    folder.mkdir(parents=True, exist_ok=True)
    first = folder / '0.png'
    if not first.exists():
        pixels = np.random.default_rng(0).integers(0, 256, (_SYNTHETIC_SIDE, _SYNTHETIC_SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(first)
    for index in range(1, number):
        if not (link := folder / f'{index}.png').exists():
            link.hardlink_to(first)
    list_file = folder / f'{number}.txt'
    list_file.write_text(''.join(f'{index}.png 0\n' for index in range(number)))
    return list_file

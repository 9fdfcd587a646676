"""Replaces the datasets of a recipe by the images of a folder."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.logging import print_log

from mmssl.datasets.base import printable
from mmssl.datasets.image_files import find_images
from mmssl.registry import METRICS
from mmssl.utils.errors import UserError

_MANY = 1000  # from this number of images a tenth is used for evaluation, below it a quarter
_WORKERS = 2
_KEPT = ('views', 'transform', 'bands', 'value_range', 'decoded', 'reduced_decoding')


def check_images_alone(options: Iterable[str]) -> None:
    """Checks that no option names other images beside the folder that replaces all datasets.

    Raises:
        UserError: One does.
    """
    for key in options:
        if key.rpartition('.')[2] in ('data_root', 'list_file'):
            raise UserError(f'images replaces all datasets, so the option {key} would change nothing: give one of them')


def use_images(cfg: Config, folder: str | Path) -> list[str]:
    """Replaces all datasets of a config by the images of a folder, in place; views and decoding do not change.

    All images below the folder are used, without a list file. Every tenth image (every fourth of fewer than 1000) is
    used for evaluation and the others for training. Two or more class folders (``folder/<class>/...``) give labels, if
    no image lies beside them. Without labels, only metrics that need no labels (``needs_labels = False``) are kept; if
    there are none, the evaluation is removed.

    Args:
        cfg: Config of a training of mmssl, or of a stage without training.
        folder: Folder of images or of class folders.

    Returns:
        Paths of the images, relative to the folder.

    Raises:
        FileNotFoundError: The folder does not exist.
        UserError: The folder holds fewer than two images, the config needs labels and the folder has no class folders,
            or the config needs boxes or segmentation maps.
    """
    names = list(find_images(str(folder), _bands(cfg)))
    if len(names) < 2:
        raise UserError(f'{folder} holds {len(names)} images: choose a folder with at least two')
    if cfg.get('default_scope', 'mmssl') != 'mmssl':
        raise UserError(
            f'a folder of images has no boxes or segmentation maps, which {cfg.get("default_scope")} needs: use your '
            'data in the layout of this config with --cfg-options data_root=FOLDER'
        )
    folders = {name.split('/')[0] for name in names if '/' in name}
    beside = [name for name in names if '/' not in name]
    has_classes = not beside and len(folders) > 1
    if beside and len(folders) > 1:
        print_log(
            f'{printable(str(folder))} holds {len(folders)} folders and {len(beside)} images beside them, such as '
            f'{printable(beside[0])}, so the folders are not taken for classes',
            logger='current',
            level=logging.WARNING,
        )
    source = dict(
        type='ClassFolder' if has_classes else 'ImageFolder',
        data_root=str(folder),
        val_every=10 if len(names) >= _MANY else 4,
    )
    for name, loader in _dataloaders(cfg):
        split = 'val' if name in ('val_dataloader', 'test_dataloader') else 'train'
        _replace(loader, dict(source, split=split))
    if not has_classes:
        for split in ('val', 'test'):
            _keep_metrics_without_labels(cfg, split, str(folder))
    return names


def _dataloaders(cfg: Config) -> Iterator[tuple[str, Any]]:
    """Yields (key, dataloader) of all dataloaders of a training or a step."""
    holders = [cfg, cfg.get('val_cfg'), cfg.get('test_cfg'), cfg.get('step')]
    for holder in holders:
        for key in ('train_dataloader', 'dataloader', 'bank_dataloader', 'val_dataloader', 'test_dataloader'):
            if holder and holder.get(key) is not None:
                yield key, holder[key]


def _bands(cfg: Config) -> Any:
    """Returns the ``bands`` of the first dataset that has them, because they decide which files are images."""
    for _, loader in _dataloaders(cfg):
        for dataset in (loader.dataset, loader.dataset.get('dataset') or {}):
            if dataset.get('bands') is not None:
                return dataset['bands']
    return None


def _replace(loader: Any, source: dict[str, Any]) -> None:
    dataset = loader.dataset
    if str(dataset.get('type')).removeprefix('mmssl.') in ('RelabelledImages', 'SalientImages'):
        inner = {key: dataset.dataset[key] for key in _KEPT if key in dataset.dataset}
        dataset.dataset = dict(source, **inner)
    else:
        loader.dataset = dict(source, **{key: dataset[key] for key in _KEPT if key in dataset})
    loader.num_workers = max(loader.get('num_workers', 0), _WORKERS)
    loader.persistent_workers = True


def _keep_metrics_without_labels(cfg: Config, split: str, folder: str) -> None:
    evaluator = cfg.get(f'{split}_evaluator')
    if not evaluator:
        return
    if 'metrics' not in evaluator:
        raise UserError(f'this config needs labels: put the images of {folder} into class folders')
    kept = [metric for metric in evaluator.metrics if not getattr(METRICS.get(metric.type), 'needs_labels', True)]
    if kept:
        evaluator.metrics = kept
    else:
        cfg[f'{split}_dataloader'] = cfg[f'{split}_cfg'] = cfg[f'{split}_evaluator'] = None

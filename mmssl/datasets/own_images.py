"""A folder of one's own images in the place of the data of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mmengine.config import Config

from mmssl.datasets.image_files import find_images
from mmssl.utils.errors import UserError

_MANY = 1000  # images from which a tenth is enough to evaluate on; of fewer a quarter is
_WORKERS = 2


def use_images(cfg: Config, folder: str | Path) -> list[str]:
    """Puts the images of a folder in the place of all datasets of a config, changed in place; views are kept.

    Every image below the folder is used, no list file is needed. Every tenth one evaluates, of fewer than 1000 images
    every fourth, and the others train. Class folders (``folder/<class>/...``) give labels. Without labels only metrics
    that need none are kept, and no evaluation at all where none is left.

    Args:
        cfg: The config of a training of mmssl, or of a stage that trains nothing.
        folder: Folder of images or of class folders.

    Returns:
        The images, as paths relative to the folder.

    Raises:
        FileNotFoundError: There is no such folder.
        UserError: The folder holds fewer than two images, the config needs labels and the folder has no class folders,
            or it needs boxes or maps.
    """
    names = list(find_images(str(folder)))
    if len(names) < 2:
        raise UserError(f'{folder} holds {len(names)} images: name a folder with at least two')
    if cfg.get('default_scope', 'mmssl') != 'mmssl':
        raise UserError(
            f'a folder of images has no boxes or maps, which {cfg.get("default_scope")} trains on: move the data of '
            'this config by --cfg-options data_root=FOLDER'
        )
    has_classes = all('/' in name for name in names) and len({name.split('/')[0] for name in names}) > 1
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
    """Every dataloader of a training or a step, by its key."""
    holders = [cfg, cfg.get('val_cfg'), cfg.get('test_cfg'), cfg.get('step')]
    for holder in holders:
        for key in ('train_dataloader', 'dataloader', 'bank_dataloader', 'val_dataloader', 'test_dataloader'):
            if holder and holder.get(key) is not None:
                yield key, holder[key]


def _replace(loader: Any, source: dict[str, Any]) -> None:
    dataset = loader.dataset
    if dataset.get('type') == 'RelabelledImages':
        inner = {key: dataset.dataset[key] for key in ('views', 'transform') if key in dataset.dataset}
        dataset.dataset = dict(source, **inner)
    else:
        loader.dataset = dict(source, **{key: dataset[key] for key in ('views', 'transform') if key in dataset})
    loader.num_workers = max(loader.get('num_workers', 0), _WORKERS)
    loader.persistent_workers = True


def _keep_metrics_without_labels(cfg: Config, split: str, folder: str) -> None:
    evaluator = cfg.get(f'{split}_evaluator')
    if not evaluator:
        return
    if 'metrics' not in evaluator:
        raise UserError(f'this config learns or measures classes: put the images of {folder} into class folders')
    kept = [metric for metric in evaluator.metrics if 'Statistics' in metric.type]
    if kept:
        evaluator.metrics = kept
    else:
        cfg[f'{split}_dataloader'] = cfg[f'{split}_cfg'] = cfg[f'{split}_evaluator'] = None

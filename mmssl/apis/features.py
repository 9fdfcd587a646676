"""Features of images, and of datasets in a config."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import DefaultScope
from torch import Tensor
from torch.utils.data import DataLoader

from mmssl.apis.arguments import check_number, read_checkpoint, read_path
from mmssl.apis.images import GivenImages, Picture, list_images, plain_range, plain_view
from mmssl.apis.models import read_device, trained
from mmssl.apis.recipes import get_recipe
from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching
from mmssl.config.check import check_config, check_present
from mmssl.config.dtypes import read_dtype
from mmssl.config.load import evaluation_dataloader
from mmssl.config.published import model_of_checkpoint
from mmssl.datasets.base import printable
from mmssl.datasets.collate_views import collate_views
from mmssl.distributed.launch import join_processes
from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import Features, extract_features
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError, user_message

_KEPT = ('transform', 'bands', 'value_range', 'reduced_decoding')  # settings of the dataset that a folder replaces


class FeatureExtractor:
    """Maps images to the vectors that kNN and linear probes use: ``FeatureExtractor('epoch_800.pth')('photos/')``.

    Args:
        checkpoint: Training checkpoint; or a backbone file, together with ``recipe``, which defines the normalisation
            of images.
        recipe: Name of a recipe, path of a config file, or a config; None uses the config in the checkpoint.
        cfg_options: Dotted keys and values that override the config.
        size: Side of the views in pixels; None uses the transform of the test or validation set in the config.
        batch_size: Number of images per batch.
        num_workers: Number of processes that read images; 0 reads them in this process.
        amp: ``'bf16'`` or ``'fp16'`` for mixed precision.
        device: Device of the model; None means a GPU if there is one.

    Raises:
        UserError: The file does not exist, it has no config and ``recipe`` is missing, or it is not a model of mmssl.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        recipe: str | Path | Config | None = None,
        *,
        cfg_options: dict[str, Any] | None = None,
        size: int | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        amp: str | None = None,
        device: str | None = None,
    ) -> None:
        self.dtype = read_dtype(amp)
        check_number('batch_size', batch_size, 1)
        check_number('num_workers', num_workers, 0)
        chosen = read_device(device)
        cfg, model = trained(checkpoint, recipe, cfg_options)
        if cfg.default_scope != 'mmssl':
            raise UserError(f'a model of {cfg.default_scope} has no vector for an image: use mmssl.get_model(...)')
        self.model: Any = model.to(chosen)
        self.transform, self.value_range = plain_view(cfg, size), plain_range(cfg)
        self.batch_size, self.num_workers = batch_size, num_workers

    def __call__(self, images: Picture | Iterable[Picture]) -> Tensor:
        """Returns the features of images.

        Args:
            images: Path, folder, Pillow image, uint8 array RGB (H, W, 3) or grey (H, W), or a list or other iterable
                of these. The images in a folder are sorted by name, see ``mmssl.apis.images.list_images``.

        Returns:
            (N, D) float32 on the CPU, one row per image, in the order of ``images``.

        Raises:
            UserError: There is no image, or an image cannot be read.
        """
        sources = list(list_images(images))
        if not sources:
            raise UserError(f'there is no image in {images}')
        loader: DataLoader = DataLoader(
            GivenImages(sources, self.transform, self.value_range),
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=collate_views,
        )
        try:
            features = extract_features(self.model, loader, dtype=self.dtype)
        except UserError as error:  # a worker's error has the worker's traceback as its message
            raise UserError(user_message(error) or str(error)) from error
        assert features is not None, 'there is one process'
        return features.vectors


def write_features(
    recipe: str | Path | Config,
    checkpoint: str | Path,
    out: str | Path,
    *,
    images: str | Path | None = None,
    data: str | None = None,
    amp: str | None = None,
    cfg_options: dict[str, Any] | None = None,
    launcher: str = 'none',
) -> Features | None:
    """Writes the features of a dataset to a file; unreadable images are skipped and reported.

    Args:
        recipe: Name of a recipe, path of a config file, or a config.
        checkpoint: Training checkpoint, or a backbone file.
        out: File to write: ``.npy`` for the vectors (N, D) alone; ``.npz`` for ``vectors``, ``names``, ``labels``,
            ``indices``, and ``classes``, the names of the labels.
        images: Folder of images to use instead of the images of the config.
        data: Images of the config to use: ``'val'`` (the default), ``'test'`` or ``'bank'``.
        amp: ``'bf16'`` or ``'fp16'`` for mixed precision.
        cfg_options: Dotted keys and values that override the config.
        launcher: Program that started this process, see ``mmssl.distributed.launchers.LAUNCHERS``.

    Returns:
        The features; None on processes that do not write.

    Raises:
        UserError: ``out`` has another ending or cannot be written, a file does not exist, or the checkpoint does not
            fit.
    """
    out = read_path(out, 'out')
    if out.suffix not in ('.npy', '.npz'):
        raise UserError(f'the file of features must end in .npy or .npz, got {str(out)!r}')
    if images is not None:
        images = read_path(images, 'images')
    if images and data:
        raise UserError('images and data exclude each other: give one of them')
    cfg = get_recipe(recipe, cfg_options)
    check_present(cfg, 'model')
    loader = evaluation_dataloader(cfg, data or 'val')
    if images:
        kept = {key: loader['dataset'][key] for key in _KEPT if key in loader['dataset']}
        loader['dataset'] = dict(type='ImageFolder', data_root=str(images), **kept)
        cfg = _without_data(cfg)
    check_config(cfg)
    checkpoint = read_checkpoint(checkpoint)
    _make_folder(out)
    join_processes(cfg, launcher)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        model = MODELS.build(model_of_checkpoint(cfg.model)).to(get_device())
        load_matching(model.backbone, get_state_dict(load_checkpoint_file(checkpoint)), checkpoint)
        dataloader = PretrainRunner.build_dataloader(loader, seed=0)
        features = extract_features(model, dataloader, dtype=read_dtype(amp), description='features')
    if features is not None:
        _write(features, dataloader.dataset, out)
    return features


def _without_data(cfg: Config) -> Config:
    """Returns the config without its data, which may be missing."""
    evaluations = {f'{split}_{part}' for split in ('val', 'test') for part in ('dataloader', 'cfg', 'evaluator')}
    data = {'train_dataloader', 'load_from'} | evaluations
    return Config({key: value for key, value in cfg.items() if key not in data}, filename=cfg.filename)


def _make_folder(out: Path) -> None:
    """Makes the folder of a file before the long part, and checks that the file can be written."""
    reason = 'it is a folder' if out.is_dir() else None
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror
    if reason is None and not os.access(out.parent, os.W_OK):
        reason = 'no right to write'
    if reason is not None:
        raise UserError(f'{out} cannot be written ({reason}): give another path')


def _write(features: Features, dataset: Any, out: Path) -> None:
    if out.suffix == '.npy':
        np.save(out, features.vectors.numpy())
        return
    columns = (features.vectors, features.labels, features.indices)
    vectors, labels, indices = (column.numpy() for column in columns)
    names = np.array([printable(dataset.name(index)) for index in features.indices.tolist()])
    # Another split without one of the classes numbers the classes after it otherwise: the names tell which is which.
    classes = np.array([printable(str(name)) for name in getattr(dataset, 'classes', None) or ()], dtype=str)
    np.savez(out, names=names, vectors=vectors, labels=labels, indices=indices, classes=classes)

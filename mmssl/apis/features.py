"""Features of images, and of the datasets of a config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import init_default_scope
from torch import Tensor
from torch.utils.data import DataLoader

from mmssl.apis.images import GivenImages, Picture, list_images, plain_view
from mmssl.apis.models import trained
from mmssl.apis.recipes import get_recipe
from mmssl.checkpoints.content import get_state_dict
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.checkpoints.matching import load_matching
from mmssl.config.check import check_config
from mmssl.config.load import evaluation_dataloader
from mmssl.config.options import read_dtype
from mmssl.datasets.base import printable
from mmssl.datasets.collate_views import collate_views
from mmssl.distributed.launch import join_processes
from mmssl.engine.runner import PretrainRunner
from mmssl.evaluation.extract import Features, extract_features
from mmssl.registry import MODELS
from mmssl.utils.errors import UserError


class FeatureExtractor:
    """Maps images to the vectors that kNN and linear probes see: ``FeatureExtractor('epoch_800.pth')('photos/')``.

    Args:
        checkpoint: Training checkpoint; or a backbone file, together with ``recipe``, which says how images are
            normalised.
        recipe: Name of a recipe, path of a config file, or a config; None takes the config in the checkpoint.
        cfg_options: Dotted keys and values that override the config.
        size: Side of the views in pixels; None takes the transform of the validation set of the config.
        batch_size: Images at a time.
        num_workers: Processes that read images; 0 reads them in this one.
        amp: ``'bf16'`` or ``'fp16'`` computes in mixed precision.
        device: Device of the model; None takes a GPU where there is one.

    Raises:
        UserError: There is no such file, it carries no config and ``recipe`` is missing, or the model is none of mmssl.
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
        cfg, model = trained(checkpoint, recipe, cfg_options)
        if cfg.default_scope != 'mmssl':
            raise UserError(f'a model of {cfg.default_scope} gives no vector for an image: take mmssl.get_model(...)')
        self.model: Any = model.to(device or get_device())
        self.transform = plain_view(cfg, size)
        self.batch_size, self.num_workers = batch_size, num_workers

    def __call__(self, images: Picture | Sequence[Picture]) -> Tensor:
        """Returns the features of images.

        Args:
            images: A path, a folder, a picture of Pillow, an array uint8 RGB (H, W, 3) or grey (H, W), or a list of
                them. The images below a folder are sorted by name, as ``list_images`` of ``mmssl.apis.images`` yields
                them.

        Returns:
            (N, D) float32 on the CPU, one row for each image, in the order given.

        Raises:
            UserError: There is no image, or one cannot be read.
        """
        sources = list(list_images(images))
        if not sources:
            raise UserError(f'there is no image in {images}')
        loader: DataLoader = DataLoader(
            GivenImages(sources, self.transform),
            self.batch_size,
            num_workers=self.num_workers,
            collate_fn=collate_views,
        )
        features = extract_features(self.model, loader, dtype=self.dtype)
        assert features is not None, 'one process alone extracts'
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
    """Writes the features of a dataset to a file; an image that cannot be read is left out and reported.

    Args:
        recipe: Name of a recipe, path of a config file, or a config.
        checkpoint: Training checkpoint, or a backbone file.
        out: ``.npy`` for the vectors (N, D) alone; ``.npz`` for ``vectors``, ``names``, ``labels`` and ``indices``.
        images: Folder whose images take the place of those of the config.
        data: Which images of the config: ``'val'`` (the default), ``'test'`` or ``'bank'``.
        amp: ``'bf16'`` or ``'fp16'`` computes in mixed precision.
        cfg_options: Dotted keys and values that override the config.
        launcher: What started this process, see ``mmssl.distributed.launch.LAUNCHERS``.

    Returns:
        What was written, None on a process that does not write.

    Raises:
        UserError: ``out`` has another ending, there is no such file, or the checkpoint does not fit.
    """
    out = Path(out)
    if out.suffix not in ('.npy', '.npz'):
        raise UserError(f'the file of features must end in .npy or .npz, got {str(out)!r}')
    if images and data:
        raise UserError('images and data both say which images: name one')
    cfg = get_recipe(recipe, cfg_options)
    init_default_scope(cfg.default_scope)
    loader = evaluation_dataloader(cfg, data or 'val')
    if images:
        transform = loader['dataset']['transform']
        loader['dataset'] = dict(type='ImageFolder', data_root=str(images), transform=transform)
        cfg = _without_data(cfg)
    check_config(cfg)
    if not Path(checkpoint).is_file():
        raise UserError(f'checkpoint {str(checkpoint)!r} does not exist')
    join_processes(cfg, launcher)
    model = MODELS.build(cfg.model).to(get_device())
    load_matching(model.backbone, get_state_dict(load_checkpoint_file(checkpoint)), str(checkpoint))
    dataloader = PretrainRunner.build_dataloader(loader, seed=0)
    features = extract_features(model, dataloader, dtype=read_dtype(amp), description='features')
    if features is not None:
        _write(features, dataloader.dataset, out)
    return features


def _without_data(cfg: Config) -> Config:
    """The config without its data, which need not be here."""
    data = ('train_dataloader', 'val_dataloader', 'test_dataloader', 'val_cfg', 'test_cfg', 'load_from')
    return Config({key: value for key, value in cfg.items() if key not in data}, filename=cfg.filename)


def _write(features: Features, dataset: Any, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    if out.suffix == '.npy':
        np.save(out, features.vectors.numpy())
        return
    columns = (features.vectors, features.labels, features.indices)
    vectors, labels, indices = (column.numpy() for column in columns)
    names = np.array([printable(dataset.name(index)) for index in features.indices.tolist()])
    np.savez(out, names=names, vectors=vectors, labels=labels, indices=indices)

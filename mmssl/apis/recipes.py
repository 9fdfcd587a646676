"""Recipes by name."""

from __future__ import annotations

from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmssl.apis.arguments import read_path
from mmssl.config.recipes import select_recipes
from mmssl.utils.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config


def list_recipes(pattern: str = '*', dataset: str | None = None) -> list[str]:
    """Returns the sorted names of the recipes in the package, without importing torch.

    Args:
        pattern: Shell pattern for the whole name, such as ``'mae*'``.
        dataset: Shell pattern for the part of the name that names the dataset, such as ``'in1k'`` or ``'coco*'``.
    """
    return select_recipes(pattern, dataset)


def get_recipe(
    recipe: str | Path | Config,
    cfg_options: dict[str, Any] | None = None,
    *,
    images: str | Path | None = None,
    **options: Any,
) -> Config:
    """Returns the config of a recipe, with optional changes.

    Data folders in a recipe, such as ``data/cifar10``, are relative to the current folder.

    Args:
        recipe: Name of a recipe, path of a config file, or a config, which is left unchanged.
        cfg_options: Dotted keys and values that override the recipe, such as ``{'train_dataloader.batch_size': 64}``.
        images: Folder of images, with or without class folders, that replaces all datasets; see
            ``mmssl.datasets.own_images.use_images``.
        **options: Other options of ``--cfg-options`` whose keys have no dots: ``max_epochs=50``, or
            ``data_root='/data/imagenet'``, which moves all datasets.

    Raises:
        UserError: The recipe does not exist, an option changes nothing, or a class has no such argument.
    """
    from mmengine.config import Config

    from mmssl.config.check import check_config
    from mmssl.config.load import copy_config, load_config

    if not isinstance(recipe, (str, Path, Config)):
        raise UserError(f'a recipe must be a name, the path of a config file or a Config, got {type(recipe).__name__}')
    if cfg_options is not None and not isinstance(cfg_options, dict):
        raise UserError(f"cfg_options must be a dict such as {{'max_epochs': 50}}, got {cfg_options!r}")
    changes = copy(cfg_options) if cfg_options is not None else {}
    if twice := sorted(set(changes) & set(options)):
        raise UserError(f'{", ".join(twice)}: given twice, in cfg_options and as an argument; give it once')
    changes.update(options)
    if isinstance(recipe, Config):
        cfg = copy_config(recipe, changes)
    else:
        cfg = load_config(recipe, changes)
    if images is not None:
        from mmssl.datasets.own_images import check_images_alone, use_images

        check_images_alone(changes)
        if 'stages' in cfg:
            raise UserError(
                f'{recipe} has several stages with their own data: '
                f'use mmssl.train({str(recipe)!r}, images=...), which replaces the data of all stages'
            )
        use_images(cfg, read_path(images, 'images'))
    if changes and 'stages' not in cfg:  # the stages of a recipe are checked when it runs
        check_config(cfg, files=False)
    return cfg

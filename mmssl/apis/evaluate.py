"""Evaluation of a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmssl.apis.arguments import read_checkpoint, read_folder, read_path
from mmssl.apis.recipes import get_recipe
from mmssl.checkpoints.content import trained_classes
from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.config.check import check_config, check_present
from mmssl.config.published import model_of_checkpoint
from mmssl.converters.transfer import load_trained_weights
from mmssl.datasets.checks import check_data
from mmssl.datasets.class_numbers import compare_classes, share_classes
from mmssl.distributed.launch import join_processes
from mmssl.distributed.unwrap import unwrap
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError

_TRAINING = ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'load_from')

_VALIDATIONS = ('EmbeddingValLoop', 'AccuracyValLoop', 'RobustnessValLoop')


def evaluate(
    recipe: str | Path | Config,
    checkpoint: str | Path,
    work_dir: str | Path | None = None,
    *,
    cfg_options: dict[str, Any] | None = None,
    show_dir: str | Path | None = None,
    launcher: str = 'none',
) -> dict[str, float]:
    """Evaluates the embeddings, classifier, detector or segmenter of a checkpoint on the test set of a config.

    Args:
        recipe: Name of a recipe, path of a config file, or a config; without a test set its validation set is used.
        checkpoint: Training checkpoint, or, to evaluate embeddings, a backbone file.
        work_dir: Folder for the log; None means ``work_dirs/<config name>``.
        cfg_options: Dotted keys and values that override the config.
        show_dir: Folder for pictures of up to 200 predictions.
        launcher: Program that started this process, see ``mmssl.distributed.launchers.LAUNCHERS``.

    Returns:
        Name -> value of each metric, in the metric's unit.

    Raises:
        UserError: The config evaluates nothing, a file does not exist, or the checkpoint does not fit.
    """
    cfg = get_recipe(recipe, cfg_options)
    if work_dir is None:
        work_dir = cfg.get('work_dir') or Path('work_dirs') / Path(cfg.filename or 'config').stem
    cfg.work_dir = str(read_path(work_dir, 'work_dir'))
    cfg.setdefault('runner_type', 'mmssl.TransferRunner')  # for detectors and segmenters
    check_present(cfg, 'model')
    _keep_test_parts(cfg)
    cfg.model = model_of_checkpoint(cfg.model)
    if show_dir:
        pictures = dict(type='mmssl.PicturesHook', out_dir=str(read_folder(show_dir, 'show_dir')))
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), pictures]
    check_config(cfg)
    checkpoint = read_checkpoint(checkpoint)
    join_processes(cfg, launcher)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        return _test(cfg, checkpoint)


def _test(cfg: Config, checkpoint: str) -> dict[str, float]:
    """Builds the runner of a checked config, and evaluates the weights in a file."""
    check_data(cfg, ('test',))
    runner = RUNNERS.build(cfg)
    content = load_checkpoint_file(checkpoint)
    model = unwrap(runner.model)
    load_trained_weights(model, checkpoint, content)
    learned, dataset = trained_classes(content), runner.test_dataloader.dataset
    if hasattr(model, 'check_labels'):  # a classifier: use the numbers of classes from training
        share_classes(learned, dataset, 'test_dataloader.dataset', is_closed=True)
    elif hasattr(model, 'predict'):  # a detector or segmenter
        compare_classes(learned, (getattr(dataset, 'metainfo', None) or {}).get('classes'))
    return {name: float(value) for name, value in runner.test().items()}


def _keep_test_parts(cfg: Config) -> None:
    """Removes the keys of training; a config without a test set is tested on its validation set."""
    if cfg.get('test_dataloader') is None:
        if cfg.get('val_dataloader') is None:
            raise UserError(
                'the config has neither a test_dataloader nor a val_dataloader: there is nothing to evaluate on'
            )
        check_present(cfg, 'val_cfg', 'val_evaluator')
        cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg = cfg.val_dataloader, cfg.val_evaluator, cfg.val_cfg
        if str(cfg.test_cfg.get('type')).removeprefix('mmssl.') in _VALIDATIONS:
            cfg.test_cfg.type = cfg.test_cfg.type.replace('Val', 'Test')
    for key in _TRAINING:
        cfg[key] = None
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.resume = False

"""Training, for programs and for the command line."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmssl.apis.arguments import check_options, read_path
from mmssl.apis.recipes import get_recipe
from mmssl.config.check import check_config, check_present
from mmssl.config.continued import go_on_gently, is_pretraining
from mmssl.config.dtypes import read_dtype
from mmssl.converters.public import find_public
from mmssl.datasets.checks import check_data
from mmssl.datasets.own_images import check_images_alone, use_images
from mmssl.distributed.collectives import broadcast_number
from mmssl.distributed.launch import join_processes, launched
from mmssl.engine.checkpoint_runner import resumable_checkpoints
from mmssl.engine.hooks.transfer import TransferHook
from mmssl.engine.stages import StepReport, read_stages, run_stages, select
from mmssl.profiling.auto_batch import find_micro_batch, use_recipe_batch
from mmssl.profiling.cluster import follow_step, read_cluster
from mmssl.profiling.dry_run import Report, dry_run
from mmssl.profiling.dry_run_stages import dry_run_stages
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError


@dataclass
class Settings:
    """Settings of a training that are not options of the config; see ``train`` for the fields."""

    work_dir: str | Path | None = None
    images: str | Path | None = None
    resume: bool | str | Path = False
    pretrained: str | Path | Mapping[str, Any] | None = None
    amp: str | None = None
    auto_scale_lr: bool = False
    auto_batch: bool = False
    validate: bool = True
    seed: int | None = None
    launcher: str = 'none'

    def write(self, cfg: Config) -> None:
        """Writes the settings into the config of one training, where they override existing values."""
        check_present(cfg, 'model', 'train_dataloader', 'optim_wrapper')
        if is_pretraining(cfg) and not (cfg.model.get('data_preprocessor') or cfg.get('data_preprocessor')):
            written = "dict(type='SelfSupDataPreprocessor')"
            raise UserError(f'model.data_preprocessor is missing, which normalises images: write {written}')
        if cfg.get('default_scope', 'mmssl') != 'mmssl':  # other runners do not make the loop
            check_present(cfg, 'train_cfg')
        cfg.setdefault('runner_type', 'mmssl.TransferRunner')  # for detectors and segmenters
        cfg.work_dir = self.folder(cfg)
        if self.images is not None:
            use_images(cfg, read_path(self.images, 'images'))
        if _is_restarted() and resumable_checkpoints(cfg.work_dir):
            self.resume = True  # what was trained before the restart must not be overwritten
        if self.resume is True:
            # Without a checkpoint the run starts at the beginning, with the weights of the config's load_from.
            cfg.resume = bool(resumable_checkpoints(cfg.work_dir)) or not cfg.get('load_from')
            cfg.load_from = None if cfg.resume else cfg.load_from
        elif self.resume is not False and self.resume is not None:
            cfg.resume, cfg.load_from = True, str(read_path(self.resume, 'resume'))
        if self.amp is not None:
            scope = '' if cfg.default_scope == 'mmssl' else 'mmssl.'
            for key in ('loss_scale', 'use_fsdp'):  # options of MMEngine's AmpOptimWrapper alone
                cfg.optim_wrapper.pop(key, None)
            cfg.optim_wrapper.update(type=f'{scope}MixedPrecisionOptimWrapper', dtype=read_dtype(self.amp))
        if self.auto_scale_lr:
            if 'base_batch_size' not in (cfg.get('auto_scale_lr') or {}):
                raise UserError('auto_scale_lr needs auto_scale_lr = dict(base_batch_size=...) in the config')
            cfg.auto_scale_lr.enable = True
        if self.auto_batch:
            use_recipe_batch(cfg, launched(self.launcher)[1])
        if not self.validate:
            cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
            ((cfg.get('default_hooks') or {}).get('checkpoint') or {}).pop('save_best', None)
        if self.seed is not None:
            cfg.randomness = dict(cfg.get('randomness') or {}, seed=self.seed)
        if self.pretrained is not None:
            cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), dict(type='mmssl.TransferHook', **self.transfer())]
            if is_pretraining(cfg):
                changes = go_on_gently(cfg)
                cfg.custom_hooks = [*cfg.custom_hooks, dict(type='StartScoreHook', changes=changes)]
        elif cfg.pop('continued', None):
            raise UserError('continued=dict(...) is for a start from trained weights: give them with --pretrained')

    def folder(self, cfg: Config) -> str:
        """Returns the folder for logs and checkpoints."""
        if self.work_dir is not None:
            return str(read_path(self.work_dir, 'work_dir'))
        default = Path('work_dirs') / Path(cfg.filename or 'config').stem
        return str(Path(cfg.get('work_dir') or default).expanduser())

    def transfer(self) -> dict[str, Any]:
        """Returns the arguments of ``TransferHook``.

        Raises:
            UserError: The checkpoint does not exist, an argument is unknown, or timm has no weights of this name.
        """
        given = dict(self.pretrained if isinstance(self.pretrained, Mapping) else {'checkpoint': self.pretrained})
        check_options('pretrained', TransferHook, given)
        if 'checkpoint' not in given:
            raise UserError("pretrained needs the path of a checkpoint: pretrained={'checkpoint': 'FILE'}")
        given['checkpoint'] = find_public(given['checkpoint'])
        return given


def train(
    recipe: str | Path | Config,
    work_dir: str | Path | None = None,
    *,
    cfg_options: dict[str, Any] | None = None,
    images: str | Path | None = None,
    resume: bool | str | Path = False,
    pretrained: str | Path | Mapping[str, Any] | None = None,
    amp: str | None = None,
    auto_scale_lr: bool = False,
    auto_batch: bool = False,
    validate: bool = True,
    seed: int | None = None,
    launcher: str = 'none',
    only_stage: str | None = None,
    from_stage: str | None = None,
    dry: bool | str = False,
) -> Any:
    """Pre-trains a backbone, or trains a model on a pre-trained backbone.

    Args:
        recipe: Name of a recipe, path of a config file, or a config, such as the result of ``get_recipe``.
        work_dir: Folder for logs and checkpoints; None means ``work_dirs/<config name>``. Without ``resume`` the
            checkpoints of an earlier training in this folder are overwritten.
        cfg_options: Dotted keys and values that override the config.
        images: Folder of images that replaces all datasets, with at least one batch of images; set
            ``train_dataloader.batch_size`` in ``cfg_options`` for fewer. See ``mmssl.datasets.own_images.use_images``.
        resume: Whether to resume from the latest checkpoint in ``work_dir``, or the path of a checkpoint to resume
            from.
        pretrained: Checkpoint of any kind, or name of a model of timm, whose backbone (and neck) the training starts
            from, or the arguments of ``mmssl.engine.hooks.transfer.TransferHook``: ``checkpoint``, ``use_teacher``,
            ``prefix``. A pre-training then goes on gently, see ``mmssl.config.continued.go_on_gently``.
        amp: ``'bf16'`` or ``'fp16'`` for mixed precision.
        auto_scale_lr: Whether the learning rate is scaled by global batch / ``base_batch_size`` of the config.
        auto_batch: Whether a step has the batch of the recipe, ``base_batch_size``, on however few devices there are;
            what does not fit into memory passes the network in micro-batches, see
            ``mmssl.engine.micro_batches.use_micro_batches``.
        validate: Whether the model is evaluated during training.
        seed: Seed of weights, order and augmentation; None uses the config's.
        launcher: Program that started this process, see ``mmssl.distributed.launchers.LAUNCHERS``.
        only_stage: Name of the only stage to run, for a recipe with stages.
        from_stage: Name of the first stage to run, for a recipe with stages.
        dry: Whether to build everything, run one iteration, leave no file, and return a report of the cost. ``'32x80'``
            follows the shapes of a step on one of 32 processes with 80 GiB each instead, see
            ``mmssl.profiling.cluster.follow_step``.

    Returns:
        The runner of the training, with ``model`` and ``work_dir``; None for a recipe with stages. With ``dry`` a
        report, whose ``str()`` is its text, with ``problems`` that would keep the training from starting.

    Raises:
        UserError: The recipe, an option or the data has a mistake; it is raised before the first iteration.
    """
    settings = Settings(work_dir, images, resume, pretrained, amp, auto_scale_lr, auto_batch, validate, seed, launcher)
    cfg = get_recipe(recipe, cfg_options)
    if images is not None:
        check_images_alone(cfg_options or ())
    if 'stages' in cfg:
        if isinstance(dry, str):
            raise UserError('a dry run for a cluster takes a config of one training, not of stages')
        if isinstance(recipe, Config):
            raise UserError('a recipe with stages needs its name or path, and options as cfg_options of train()')
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            return _train_stages(recipe, cfg, cfg_options, settings, (only_stage, from_stage), dry)
    if only_stage or from_stage:
        raise UserError(f'{cfg.filename} has no stages: omit only_stage and from_stage')
    settings.write(cfg)
    check_config(cfg, data=not dry)
    if isinstance(dry, str):
        if auto_batch:
            raise UserError('a dry run for a cluster does not support --auto-batch: set micro_batch in the config')
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            return follow_step(cfg, *read_cluster(dry))
    micro_batch = find_micro_batch(cfg) if auto_batch and launched(launcher)[0] == 0 else None
    join_processes(cfg, launcher)
    if auto_batch:
        cfg.micro_batch = broadcast_number(micro_batch)
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        if dry:
            return dry_run(cfg)
        check_data(cfg)
        runner = RUNNERS.build(cfg)
        runner.train()
    return runner


def _is_restarted() -> bool:
    """Returns whether ``torchrun --max-restarts`` or Slurm has started this run again."""
    return any(int(os.environ.get(name) or 0) > 0 for name in ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT'))


def _train_stages(
    recipe: str | Path,
    cfg: Config,
    cfg_options: dict[str, Any] | None,
    settings: Settings,
    chosen: tuple[str | None, str | None],
    dry: bool,
) -> Report | StepReport | None:
    """Runs the stages of a config, or reports their cost."""
    if settings.auto_batch:
        raise UserError('a config with stages does not support --auto-batch: set micro_batch in its stages')
    if settings.resume not in (True, False) or settings.pretrained is not None:
        raise UserError('a config with stages supports --resume only without a path, and no --pretrained')
    stages = read_stages(recipe, cfg_options, settings.seed)  # type: ignore[arg-type]
    settings = replace(settings, seed=None)  # each stage has a seed of its own
    selected = select(stages, *chosen)
    join_processes(cfg, settings.launcher)
    for stage in stages:
        if stage.trains:
            settings.write(stage.config)
            stage.config.launcher = settings.launcher
        elif settings.images is not None:
            use_images(stage.config, read_path(settings.images, 'images'))
    work_dir = settings.folder(cfg)
    if dry:
        return dry_run_stages(stages, selected, work_dir)
    run_stages(stages, selected, work_dir, resume=bool(settings.resume) or _is_restarted())
    return None

"""The runner of pre-training."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from copy import deepcopy
from datetime import datetime, timedelta
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config, ConfigDict
from mmengine.device import get_device
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper, revert_sync_batchnorm
from mmengine.optim import OptimWrapper
from mmengine.registry import MODEL_WRAPPERS
from mmengine.runner import BaseLoop, Runner
from mmengine.visualization import Visualizer
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from mmssl.config.compilation import block_compile_options
from mmssl.config.preprocessor import place_preprocessor
from mmssl.config.run_config import RunConfig
from mmssl.config.strategy import read_strategy
from mmssl.datasets.class_numbers import share_classes
from mmssl.datasets.workers import shield_workers
from mmssl.engine.agreement import check_bands, check_training, check_watched_results
from mmssl.engine.checkpoint_runner import CheckpointRunner
from mmssl.engine.compilation import checkpoint_blocks, compile_blocks
from mmssl.engine.freed_memory import keep_freed_memory
from mmssl.engine.memory_format import choose_memory_format, contiguous_weights, set_memory_format
from mmssl.engine.micro_batches import use_micro_batches
from mmssl.engine.optimizers.checks import checked_optim_wrapper
from mmssl.engine.optimizers.lr_scaling import scale_lr
from mmssl.engine.schedules import ClosedFormSchedule, check_schedules, with_length
from mmssl.engine.screen import keep_screen_short
from mmssl.engine.sharding import check_shardable, shard
from mmssl.models.layers.low_rank import restrict_training
from mmssl.models.layers.sync_batch_norm import convert_sync_batchnorm, is_synchronised
from mmssl.registry import FUNCTIONS, RUNNERS
from mmssl.utils.errors import UserError

_HOOKS_OF_MMENGINE = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
_TIME_FORMAT = '%Y%m%d_%H%M%S'  # of MMEngine
_STARTED: set[str] = set()  # times of the runs of this process
_NEEDED_HOOKS = ('algorithm', 'runtime_info', 'sampler_seed', 'param_scheduler')


@RUNNERS.register_module()
class PretrainRunner(CheckpointRunner):
    """The runner of pre-training: ``CheckpointRunner`` with exact resume and the defaults of pre-training.

    In addition to MMEngine's keys, a config may have

    - ``max_epochs``: length of the run, which schedules follow;
    - ``sync_bn=True``: synchronises batch norms among processes;
    - ``auto_scale_lr=dict(rule=...)``: rule ``'linear'`` or ``'sqrt'``, see ``scale_lr``;
    - ``model_wrapper_cfg``: further arguments of DistributedDataParallel, or ``type`` and arguments of a subclass;
    - ``compile='blocks'``, or ``compile=dict(target='blocks', ...)`` with options of ``torch.compile``: compiles the
      blocks of backbone, neck and teacher one by one (MMEngine's ``compile=True`` compiles the whole ``train_step``);
    - ``checkpoint_blocks=True``: stores only the inputs of every block and runs it again in the backward pass;
    - ``trainable=dict(frozen_blocks=6, low_rank=8)``: what of the backbone trains, see ``restrict_training``;
    - ``strategy='fsdp2'``: every process holds a share of weights, gradients and optimizer state, see
      ``mmssl.config.strategy.read_strategy`` for its options;
    - ``micro_batch=64``: passes at most so many images through the network at once, and still computes the gradient of
      the whole batch, see ``use_micro_batches``;
    - ``memory_format``: ``'auto'`` (the default), ``'channels_last'`` or ``'contiguous'``, see
      ``choose_memory_format``. Initial weights and files do not depend on it.
    """

    default_memory_format = 'auto'
    unchecked_parts: Sequence[str] = ()  # checks that were not possible, for the dry run
    _timestamp: str  # of MMEngine

    @classmethod
    def from_cfg(cls, cfg: Config | ConfigDict | dict) -> PretrainRunner:
        """Builds the runner from a config; adds the default training loop, seed and scope to a copy of it."""
        cfg = deepcopy(cfg)
        if isinstance(cfg, Config):
            cfg = RunConfig.of(cfg)
        place_preprocessor(cfg)
        check_work_dir(cfg.get('work_dir'))
        if cfg.get('train_dataloader') is not None:
            cfg['train_cfg'] = cls._train_loop_config(dict(cfg.get('train_cfg') or {}), cfg.get('max_epochs'))
        cfg.setdefault('default_scope', 'mmssl')
        randomness = dict(cfg.get('randomness') or {})
        if randomness.get('seed') is None:
            randomness['seed'] = 0  # a run with a random seed could not be resumed exactly
        if randomness.get('diff_rank_seed') and 'PretrainTrainLoop' in str((cfg.get('train_cfg') or {}).get('type')):
            # The loop seeds every process apart. MMEngine would give each another seed of the run, so only the first
            # could resume, and the sampler one that is drawn.
            randomness['diff_rank_seed'] = False
        cfg['randomness'] = randomness
        return super().from_cfg(cfg)

    @classmethod
    def _train_loop_config(cls, train_cfg: dict, max_epochs: int | None) -> dict:
        """Returns the config of the training loop, which counts epochs without ``max_iters`` and ``by_epoch=False``."""
        by_epoch = train_cfg.pop('by_epoch', None)
        if train_cfg.get('type') in ('EpochBasedTrainLoop', 'IterBasedTrainLoop'):
            by_epoch = train_cfg.pop('type') == 'EpochBasedTrainLoop'
        train_cfg.setdefault('type', 'PretrainTrainLoop')
        if by_epoch is False and 'max_iters' not in train_cfg:
            raise UserError('train_cfg.by_epoch=False needs the length of the run: train_cfg.max_iters=NUMBER')
        if 'max_iters' in train_cfg and by_epoch is not True:
            train_cfg.pop('max_epochs', None)
        elif max_epochs is not None:
            train_cfg['max_epochs'] = max_epochs
        return train_cfg

    def train(self) -> nn.Module:
        """Trains the model and returns it; undoes what hooks entered in ``at_end_of_training``, also after an error."""
        if get_device() == 'cpu':
            keep_freed_memory()
        with ExitStack() as self.at_end_of_training:
            self.at_end_of_training.callback(self.end_workers)
            return super().train()

    def val(self) -> dict:
        """Evaluates the model and returns the results."""
        try:
            return super().val()
        finally:
            self.end_workers()

    def test(self) -> dict:
        """Tests the model and returns the results."""
        try:
            return super().test()
        finally:
            self.end_workers()

    def end_workers(self) -> None:
        """Ends the worker processes of all loops at once; a loop that runs again starts new ones.

        The garbage collector, which finds a runner in a circle of references, closes the queues of a worker before it
        tells the worker to end. Each worker then takes five seconds.
        """
        for loop in (self._train_loop, self._val_loop, self._test_loop):
            for name in ('dataloader', 'bank_dataloader', 'dataloader_iterator'):
                loader: Any = getattr(loop, name, None)
                iterator: Any = getattr(loader, '_iterator', None)
                if hasattr(iterator, '_shutdown_workers'):
                    iterator._shutdown_workers()
                    loader._iterator = None

    # Building

    def setup_env(self, env_cfg: dict) -> None:
        """Sets up processes and threads, and the time after which MMEngine names folder, logger and numbers of the run.

        A second run of a process within one second, which would write into those of the first, gets the next second
        that no process of the run has used.
        """
        super().setup_env(env_cfg)
        used = set().union(*all_gather_object(_STARTED))
        while self._timestamp in used:
            started = datetime.strptime(self._timestamp, _TIME_FORMAT) + timedelta(seconds=1)
            self._timestamp = started.strftime(_TIME_FORMAT)
        _STARTED.add(self._timestamp)

    def build_model(self, model: nn.Module | dict) -> nn.Module:
        """Builds the model, and freezes what ``trainable`` of the config names, in the student and its teacher."""
        built = super().build_model(model)
        settings = dict(self.cfg.get('trainable') or {})
        if settings:
            restrict_training(built, **settings)
        return built

    def build_logger(self, *args: Any, **kwargs: Any) -> MMLogger:
        """Builds the logger, which writes config, environment and hooks to the log file and not to the screen."""
        logger = super().build_logger(*args, **kwargs)
        keep_screen_short(logger)
        return logger

    def build_visualizer(self, visualizer: Visualizer | dict | None = None) -> Visualizer:
        """Builds the visualizer under a name of its own, because MMEngine shares it between runs with one name."""
        if isinstance(visualizer, dict):
            visualizer = dict(visualizer, name=self._log_dir)
        return super().build_visualizer(visualizer)

    def _log_env(self, env_cfg: dict) -> None:
        super()._log_env(env_cfg)
        device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'CPU'
        self.logger.info(f'{device}, process 1 of {self.world_size}, seed {self.seed}; config and log: {self._log_dir}')

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        """Moves the model to its device; with several processes also synchronises batch norms and wraps it in DDP."""
        if is_model_wrapper(model):
            return model
        device = get_device()
        model = model.to(device)
        setting = self.cfg.get('memory_format') or self.default_memory_format
        model = set_memory_format(model, choose_memory_format(setting, model))
        if not self.distributed:
            # MMEngine's function imports mmcv, which is slow, to look for its class too.
            return revert_sync_batchnorm(model) if any(map(is_synchronised, model.modules())) else model
        if self.cfg.get('sync_bn'):
            model = convert_sync_batchnorm(model, second_order=getattr(model, 'second_order', False))
        if self.sharding is not None:
            return model  # sharded when weights are initialised or loaded
        arguments = signature(DistributedDataParallel).parameters
        # Newer releases of torch renamed broadcast_buffers, and warn if the old name is used.
        buffers = 'forward_sync_buffers' if 'forward_sync_buffers' in arguments else 'broadcast_buffers'
        unused = bool(self.cfg.get('find_unused_parameters'))  # in configs of mmdet and mmseg
        options: dict[str, Any] = {buffers: False, 'gradient_as_bucket_view': True, 'find_unused_parameters': unused}
        given = dict(model_wrapper_cfg or {})
        if 'broadcast_buffers' in given:  # torch would ignore it beside the new name
            given[buffers] = given.pop('broadcast_buffers')
        options = dict(type='MMDistributedDataParallel') | options | given
        device_ids = None if device == 'cpu' else [int(os.environ['LOCAL_RANK'])]
        return MODEL_WRAPPERS.build(dict(module=model, device_ids=device_ids, **options))

    @staticmethod
    def build_dataloader(
        dataloader: DataLoader | dict, seed: int | None = None, diff_rank_seed: bool = False
    ) -> DataLoader:
        """Builds a dataloader like MMEngine's ``Runner``, but also finds collate functions in mmssl's registry.

        Settings of worker processes are dropped if there are no workers (``num_workers=0``), and pinned memory is
        turned off if there is no GPU. Workers outlive SIGTERM, see ``shield_workers``.
        """
        if isinstance(dataloader, dict):
            dataloader = dict(dataloader)
            if not dataloader.get('num_workers'):
                dataloader = {k: v for k, v in dataloader.items() if k not in ('persistent_workers', 'prefetch_factor')}
            if not torch.cuda.is_available():
                dataloader['pin_memory'] = False
        collate_fn = dataloader.get('collate_fn') if isinstance(dataloader, dict) else None
        if isinstance(collate_fn, dict) and isinstance(collate_fn['type'], str):
            function = FUNCTIONS.get(collate_fn['type'])
            if function is None:
                raise UserError(f'unknown collate function {collate_fn["type"]!r}')
            dataloader = dict(dataloader, collate_fn=dict(collate_fn, type=function))
        if not isinstance(dataloader, dict):
            return dataloader
        return shield_workers(Runner.build_dataloader(dataloader, seed, diff_rank_seed))

    def build_train_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the training loop and its data, and checks that they fit the model, see ``check_training``."""
        loop = super().build_train_loop(loop)
        self.unchecked_parts = check_training(self.algorithm, loop.dataloader)
        return loop

    def build_val_loop(self, loop: BaseLoop | dict) -> BaseLoop:
        """Builds the validation loop, and gives its classes the numbers that they have in the training set."""
        loop = super().build_val_loop(loop)
        if hasattr(self.algorithm, 'check_labels') and self._train_dataloader is not None:
            learned = getattr(self.train_dataloader.dataset, 'classes', None)
            share_classes(learned, loop.dataloader.dataset, 'val_dataloader.dataset', is_closed=True)
        check_watched_results(self.hooks, loop)
        bank = getattr(loop, 'bank_dataloader', None)
        for loader, where in ((loop.dataloader, 'val_dataloader'), (bank, 'val_cfg.bank_dataloader')):
            if loader is not None:
                check_bands(self.algorithm, loader.dataset, f'{where}.dataset')
        return loop

    def build_optim_wrapper(self, optim_wrapper: OptimWrapper | dict) -> OptimWrapper:
        """Builds the optimizer of the trainable parameters; in full precision unless the config has a ``type``."""
        if isinstance(optim_wrapper, dict) and 'optimizer' in optim_wrapper:
            optim_wrapper = dict(optim_wrapper)
            if 'type' not in optim_wrapper:
                optim_wrapper['type'] = 'MixedPrecisionOptimWrapper'
                optim_wrapper.setdefault('dtype', None)
            optim_wrapper.setdefault('constructor', 'GroupedOptimWrapperConstructor')
        return checked_optim_wrapper(super().build_optim_wrapper, optim_wrapper, self.algorithm)

    def _build_param_scheduler(self, scheduler: Any, optim_wrapper: OptimWrapper) -> list:
        schedulers = scheduler if isinstance(scheduler, (list, tuple)) else [scheduler]
        lengths = self.max_epochs, getattr(self.train_loop, 'length_in_epochs', self.max_epochs)
        built = super()._build_param_scheduler([with_length(cfg, *lengths) for cfg in schedulers], optim_wrapper)
        check_schedules(built)
        return built

    def resume(self, filename: str, *args: Any, **kwargs: Any) -> None:
        """Continues the run of a checkpoint, with the schedules at the values of its position."""
        super().resume(filename, *args, **kwargs)
        if not hasattr(self.train_loop, 'length_in_epochs') or not isinstance(self.param_schedulers, list):
            return
        for schedule in self.param_schedulers:
            if isinstance(schedule, ClosedFormSchedule):  # a run that ended within an epoch has counted this epoch
                schedule.move_to(self.iter // len(self.train_dataloader) if schedule.by_epoch else self.iter)

    def scale_lr(self, optim_wrapper: OptimWrapper, auto_scale_lr: dict | None = None) -> None:
        """Scales the lr from the batch size of the recipe to that of this run if ``enable`` is True, see ``scale_lr``.

        Otherwise a warning says that they differ.

        Args:
            optim_wrapper: Optimizer wrapper; its lr is changed.
            auto_scale_lr: Dict with ``enable``, ``base_batch_size`` (images per optimizer step in the recipe) and
                ``rule`` (``'linear'``, the default, or ``'sqrt'``).

        Raises:
            UserError: ``rule`` is unknown, or ``base_batch_size`` is missing.
        """
        settings = dict(auto_scale_lr or {})
        is_enabled, planned = settings.pop('enable', False), settings.get('base_batch_size')
        # A custom batch sampler leaves the batch_size of the loader None, and may have none itself.
        sampler = self.train_dataloader.batch_sampler
        if not is_enabled and (planned is None or not hasattr(sampler, 'batch_size')):
            return
        images = sampler.batch_size * self.world_size * optim_wrapper._accumulative_counts
        if is_enabled:
            scale_lr(optim_wrapper, images, **settings)
        elif images != planned:
            self.logger.warning(
                f'a step of this run has {images} images, and the recipe is for {planned}: --auto-scale-lr adapts the '
                'learning rate'
            )

    def register_default_hooks(self, hooks: dict[str, Hook | dict | None] | None = None) -> None:
        """Registers MMEngine's default hooks (mmssl's classes replace those of the same name) and mmssl's own.

        Raises:
            UserError: A hook without which a training is another one is switched off.
        """
        own = dict(
            algorithm=dict(type='AlgorithmHook'),
            progress=dict(type='ProgressBarHook'),
            interruption=dict(type='InterruptionHook'),
            same_weights=dict(type='SameWeightsHook'),
        )
        chosen = own | dict(hooks or {})
        for name in _NEEDED_HOOKS:
            if chosen.get(name, name) is None:
                raise UserError(f'default_hooks.{name} is a part of the training and cannot be switched off')
        super().register_default_hooks(without_missing(chosen))

    def _maybe_compile(self, target: str) -> None:
        """Compiles or checkpoints blocks; MMEngine calls this after the model is wrapped and its weights are loaded."""
        if self.cfg.get('checkpoint_blocks'):
            number = checkpoint_blocks(self.algorithm)
            self.logger.info(f'{number} blocks will run again in the backward pass, to save memory')
        if self.cfg.get('micro_batch') is not None:
            self._use_micro_batches(self.cfg.micro_batch)
        options = block_compile_options(self.cfg.get('compile'))
        if options is None:
            super()._maybe_compile(target)
        else:
            number = compile_blocks(self.algorithm, **options)
            self.logger.info(f'{number} blocks will be compiled in the first iteration, which takes a while')
        if self.sharding is not None:
            check_shardable(self)
            number = shard(self.algorithm, self.optim_wrapper, self.sharding)
            self.logger.info(f'{number} blocks are sharded over {self.world_size} processes')
        elif read_strategy(self.cfg.get('strategy')) is not None:
            self.logger.warning('strategy changes nothing in a run of one process, which holds the whole model')

    def _use_micro_batches(self, size: int) -> None:
        coupled = use_micro_batches(self.algorithm, size)
        batch = self.train_dataloader.batch_sampler.batch_size
        self.logger.info(f'{batch} images per step and process pass the network in micro-batches of {size}')
        if coupled:
            self.logger.warning(
                f'micro_batch={size}: {", ".join(coupled)} has batch norms. Their statistics are those of {size} '
                'images instead of the whole batch, and their running statistics move once per micro-batch. All that '
                'follows them, the loss included, is exact for the whole batch'
            )

    def _init_model_weights(self) -> None:
        """Initialises the weights, to the same numbers in every memory format."""
        with contiguous_weights(self.model):
            super()._init_model_weights()


def without_missing(hooks: dict[str, Any]) -> dict[str, Any]:
    """Returns default hooks without those that are None; MMEngine's own stay, because it removes them itself."""
    return {name: hook for name, hook in hooks.items() if hook is not None or name in _HOOKS_OF_MMENGINE}


def check_work_dir(work_dir: str | Path | None) -> None:
    """Checks that a work directory, or a folder above it, is not a file.

    Raises:
        UserError: It is a file.
    """
    for folder in () if work_dir is None else (Path(work_dir), *Path(work_dir).parents):
        if folder.is_file():
            raise UserError(f'work_dir {str(work_dir)!r} cannot be a folder, because {folder} is a file: give another')

"""The top-level keys of a config that are read, and replacements for keys that are not read."""

from __future__ import annotations

import inspect

from mmengine.runner import Runner

# Keys other than the arguments of MMEngine's runner: read by mmssl, or by MMEngine's runner from the config itself.
_OWN_KEYS = {
    'max_epochs', 'sync_bn', 'runner_type', 'custom_imports', 'model_wrapper_cfg', 'checkpoint_blocks', 'micro_batch',
    'stages', 'step', 'memory_format', 'continued', 'trainable', 'strategy',
}  # fmt: skip
_CONFIG_KEYS = {'compile', 'activation_checkpointing', 'efficient_conv_bn_eval'}
READ_KEYS = set(inspect.signature(Runner.__init__).parameters) - {'self', 'cfg'} | _OWN_KEYS | _CONFIG_KEYS

# Options with which ``load_config`` changes other keys.
ACTING_OPTIONS = {'data_root', 'classes', 'ignore_labels'}

# Variables that configs of OpenMMLab libraries usually have in addition to the runner's keys. Nothing reads them.
CUSTOMARY_VARIABLES = {
    'backend_args', 'base_lr', 'batch_size', 'bgr_mean', 'bgr_std', 'data_root', 'dataset_type', 'file_client_args',
    'find_unused_parameters', 'img_norm_cfg', 'img_scale', 'img_size', 'max_iters', 'num_classes', 'num_workers',
    'test_dataset', 'test_pipeline', 'train_dataset', 'train_pipeline', 'tta_model', 'tta_pipeline',
    'val_dataset', 'val_pipeline', 'view_pipeline', 'view_pipeline1', 'view_pipeline2', 'vis_backends',
}  # fmt: skip

# Keys of MMCV 1 -> keys of MMEngine.
FORMER_KEYS = {
    'checkpoint_config': 'default_hooks.checkpoint',
    'data': 'train_dataloader, val_dataloader and test_dataloader',
    'dist_params': 'env_cfg.dist_cfg',
    'evaluation': 'val_cfg and val_evaluator',
    'log_config': 'default_hooks.logger',
    'lr_config': 'param_scheduler',
    'optimizer': 'optim_wrapper.optimizer',
    'optimizer_config': 'optim_wrapper',
    'resume_from': 'load_from with resume=True, or --resume PATH',
    'runner': 'train_cfg or max_epochs',
    'total_epochs': 'max_epochs',
    'workflow': 'train_cfg and val_cfg',
}

# Keys that nothing reads, also as options -> keys that are read instead.
REPLACEMENTS = {
    **FORMER_KEYS,
    'amp': 'optim_wrapper.type=MixedPrecisionOptimWrapper, or --amp',
    'base_lr': 'optim_wrapper.optimizer.lr',
    'epochs': 'max_epochs',
    'find_unused_parameters': 'model_wrapper_cfg.find_unused_parameters',
    'launcher': '--launcher',
    'max_iters': 'train_cfg.by_epoch=False train_cfg.max_iters=NUMBER',
    'seed': 'randomness.seed, or --seed',
    'tta_model': 'model: the tools evaluate without test-time augmentation',
    'tta_pipeline': 'test_dataloader: the tools evaluate without test-time augmentation',
}

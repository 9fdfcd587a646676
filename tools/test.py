"""Evaluate the embeddings, classifier, detector or segmenter of a checkpoint: ``tools/test.py CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmssl.checkpoints.files import load_checkpoint_file
from mmssl.cli.options import add_run_options
from mmssl.cli.tool import tool
from mmssl.config.check import check_config
from mmssl.config.load import load_config
from mmssl.converters.transfer import load_trained_weights
from mmssl.datasets.checks import check_data
from mmssl.datasets.class_numbers import share_classes
from mmssl.distributed.collectives import rank
from mmssl.distributed.launch import join_processes
from mmssl.distributed.unwrap import unwrap
from mmssl.registry import RUNNERS
from mmssl.utils.errors import UserError


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate what a checkpoint holds on the test set of a config')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file')
    parser.add_argument('--out', help='write the results to this .json file')
    parser.add_argument('--show-dir', metavar='FOLDER', help='write pictures of up to 200 predictions there')
    add_run_options(parser)
    return parser.parse_args(argv)


def keep_test_parts(cfg: Config) -> None:
    """Removes what only training needs; a config without a test set is tested on its validation set."""
    if cfg.get('test_dataloader') is None:
        if cfg.get('val_dataloader') is None:
            raise UserError('the config has neither a test_dataloader nor a val_dataloader: nothing to evaluate on')
        cfg.test_dataloader, cfg.test_evaluator, cfg.test_cfg = cfg.val_dataloader, cfg.val_evaluator, cfg.val_cfg
        if cfg.test_cfg.get('type') in ('EmbeddingValLoop', 'AccuracyValLoop', 'RobustnessValLoop'):
            cfg.test_cfg.type = cfg.test_cfg.type.replace('Val', 'Test')
    for key in ('train_dataloader', 'train_cfg', 'optim_wrapper', 'param_scheduler', 'auto_scale_lr', 'load_from'):
        cfg[key] = None
    cfg.val_dataloader = cfg.val_evaluator = cfg.val_cfg = None
    cfg.resume = False


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.default_scope)
    work_dir = args.work_dir or cfg.get('work_dir') or Path('work_dirs') / Path(args.config).stem
    cfg.work_dir = str(Path(work_dir).expanduser())
    cfg.setdefault('runner_type', 'mmssl.TransferRunner')  # of detectors and segmenters
    keep_test_parts(cfg)
    if args.show_dir:
        pictures = dict(type='mmssl.PicturesHook', out_dir=args.show_dir)
        cfg.custom_hooks = [*(cfg.get('custom_hooks') or []), pictures]
    check_config(cfg)
    if not Path(args.checkpoint).is_file():
        raise UserError(f'checkpoint {args.checkpoint!r} does not exist')
    join_processes(cfg, args.launcher)
    check_data(cfg, ('test',))
    runner = RUNNERS.build(cfg)
    content = load_checkpoint_file(args.checkpoint)
    model = unwrap(runner.model)
    load_trained_weights(model, args.checkpoint, content)
    if hasattr(model, 'check_labels'):  # a classifier: classes have the numbers that they had in training
        trained_on = ((content.get('meta') or {}).get('dataset_meta') or {}).get('classes')
        share_classes(trained_on, runner.test_dataloader.dataset, 'test_dataloader.dataset', is_closed=True)
    results = {name: float(value) for name, value in runner.test().items()}
    if rank() == 0:
        for name, value in results.items():
            print(f'{name}: {value:.4f}')
        if args.out:
            Path(args.out).parent.mkdir(parents=True, exist_ok=True)
            Path(args.out).write_text(json.dumps(results, indent=2) + '\n')
    return results


if __name__ == '__main__':
    main()

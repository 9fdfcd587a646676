"""Evaluate the embeddings, classifier, detector or segmenter of a checkpoint: ``tools/test.py CONFIG CHECKPOINT``."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from torch import nn

from mmssl.datasets.checks import check_data
from mmssl.datasets.class_numbers import share_classes
from mmssl.registry import RUNNERS
from mmssl.utils.checkpoint import get_state_dict, load_checkpoint_file, load_matching
from mmssl.utils.cli import add_run_options, tool
from mmssl.utils.config import check_config, load_config
from mmssl.utils.dist import rank
from mmssl.utils.errors import UserError
from mmssl.utils.launch import join_processes


def parse_args(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description='Evaluate what a checkpoint holds on the test set of a config')
    parser.add_argument('config', help='config file')
    parser.add_argument('checkpoint', help='training checkpoint, or a backbone file')
    parser.add_argument('--out', help='write the results to this .json file')
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


def load_weights(model: nn.Module, checkpoint: str, content: Any) -> None:
    """Loads ``model`` from a training checkpoint of the same model, or its backbone alone from another file.

    Args:
        model: The model.
        checkpoint: The file, for messages.
        content: What ``load_checkpoint_file`` returned.

    Raises:
        UserError: The training checkpoint was written for another model, or the model needs more than a backbone.
        FileNotFoundError, ValueError: The file is missing or damaged, or its backbone is another one.
    """
    offered = get_state_dict(content)
    load_matching(model.backbone, offered, checkpoint)
    if not any(name.startswith('backbone.') for name in offered):  # a backbone file, or one from elsewhere
        if hasattr(model, 'predict'):
            raise UserError(
                f'{checkpoint} holds a backbone and no classifier, detector or segmenter on it: '
                'train one with tools/train.py CONFIG --pretrained CHECKPOINT'
            )
        return
    expected = {name: value.shape for name, value in model.state_dict().items()}
    found = {name: value.shape for name, value in offered.items()}
    odd = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    if odd:
        raise UserError(
            f'{checkpoint} was written while training another model than the {type(model).__name__} of this config: '
            f'{len(odd)} tensors beside the backbone differ, such as {", ".join(odd[:3])}; '
            'give the config that it was trained with, or the _backbone.pth file beside it'
        )
    model.load_state_dict(offered)


@tool
def main(argv: Sequence[str] | None = None) -> dict[str, float]:
    args = parse_args(argv)
    cfg = load_config(args.config, args.cfg_options)
    init_default_scope(cfg.default_scope)
    work_dir = args.work_dir or cfg.get('work_dir') or Path('work_dirs') / Path(args.config).stem
    cfg.work_dir = str(Path(work_dir).expanduser())
    cfg.setdefault('runner_type', 'mmssl.TransferRunner')  # of detectors and segmenters
    keep_test_parts(cfg)
    check_config(cfg)
    if not Path(args.checkpoint).is_file():
        raise UserError(f'checkpoint {args.checkpoint!r} does not exist')
    join_processes(cfg, args.launcher)
    check_data(cfg, ('test',))
    runner = RUNNERS.build(cfg)
    content = load_checkpoint_file(args.checkpoint)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    load_weights(model, args.checkpoint, content)
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
